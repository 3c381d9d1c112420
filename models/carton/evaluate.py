"""Measure an exported model on held-back renders, suggest thresholds, and test scaled JPEG decoding.

    python models/carton/render.py --out /tmp/held-back --count 400 --seed 90001 --size 1920x1080
    python models/carton/evaluate.py --model services/framegate/starter/model.onnx --data /tmp/held-back \\
        --facts /tmp/facts.json --train-sets 1:6000:640x360,3:3000:800x450:dense

Thresholds come from the first half of the frames; every other figure comes from the second half. A frame fails when a
damage reaches its class's `fail` confidence, asks for review from `review` on, and passes otherwise.
"""

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from render import script_sha256
from scene import CLASSES
from scoring import Detector, Rows, matched_share, read_labels, score

DAMAGES = tuple(name for name in CLASSES if name not in ("carton", "label"))
Limits = dict[str, tuple[float, float]]
FAIL_PRECISION = 0.97
REVIEW_RECALL = 0.85
REVIEW_ALARMS = 0.03


def peak(rows: Rows, name: str) -> float:
    """Highest confidence of a class in a frame, 0 when absent."""
    own = rows[rows[:, 5] == CLASSES.index(name), 4]
    return float(own.max()) if len(own) else 0.0


def has(truth: Rows, names: Sequence[str]) -> bool:
    return bool(np.isin(truth[:, 4], [CLASSES.index(name) for name in names]).any())


def suggest(found: Sequence[Rows], truth: Sequence[Rows]) -> Limits:
    """Per class: `fail` where nearly every alarm is a damaged frame; `review` where most of the class is caught, but not
    so low that more than a few intact frames in a hundred are sent to review by this class."""
    damaged = np.array([has(rows, DAMAGES) for rows in truth])
    limits = {}
    for name in DAMAGES:
        peaks = np.array([peak(rows, name) for rows in found])
        own = np.array([has(rows, [name]) for rows in truth])
        grid = np.arange(0.05, 0.951, 0.05)
        sure = [t for t in grid if (peaks >= t).any() and damaged[peaks >= t].mean() >= FAIL_PRECISION]
        fail = float(np.clip(min(sure, default=0.9), 0.3, 0.9))
        caught = [t for t in grid if own.any() and (peaks[own] >= t).mean() >= REVIEW_RECALL]
        quiet = [t for t in grid if (peaks[~damaged] >= t).mean() <= REVIEW_ALARMS]
        review = max(max(caught, default=0.1), min(quiet, default=0.9), 0.1)
        limits[name] = (round(float(min(review, fail - 0.1)), 2), round(fail, 2))
    return limits


def verdict(rows: Rows, limits: Limits) -> str:
    peaks = {name: peak(rows, name) for name in limits}
    if any(peaks[name] >= fail for name, (_, fail) in limits.items()):
        return "fail"
    if any(peaks[name] >= review for name, (review, _) in limits.items()):
        return "review"
    return "pass"


def decoding_check(detector: Detector, files: Sequence[Path], full: Sequence[Rows], limits: Limits) -> dict[str, Any]:
    """Scaled against full decoding: partners of detections from 0.25 on, and equal verdicts."""
    partners = total = same = 0
    for path, reference in zip(files, full, strict=True):
        other = detector.detect(path.read_bytes(), scaled=True)
        near, count = matched_share(reference, other, 0.25)
        partners, total = partners + near, total + count
        same += verdict(reference, limits) == verdict(other, limits)
    share, equal = partners / max(total, 1), same / max(len(files), 1)
    return {
        "frames": len(files), "matched": round(share, 4), "same_verdict": round(equal, 4),
        "allowed": share >= 0.98 and equal >= 0.99,
    }  # fmt: skip


def detect_all(detector: Detector, files: Sequence[Path]) -> list[Rows]:
    found = []
    for number, path in enumerate(files, 1):
        found.append(detector.detect(path.read_bytes()))
        if number % 50 == 0:
            print(f"{detector.side} px: {number}/{len(files)} frames", flush=True)
    return found


def summary(found: Sequence[Rows], truth: Sequence[Rows]) -> dict[str, Any]:
    scores = score(found, truth)
    flat: dict[str, Any] = {
        "map50": round(float(np.mean([s.ap50 for s in scores.values()])), 4),
        "map50_95": round(float(np.mean([s.ap50_95 for s in scores.values()])), 4),
    }
    for name, s in scores.items():
        flat[f"{name}_ap50"] = round(s.ap50, 4)
        flat[f"{name}_precision"] = round(s.precision, 4)
        flat[f"{name}_recall"] = round(s.recall, 4)
        print(f"{name:8s} AP50 {s.ap50:.3f} AP50-95 {s.ap50_95:.3f} P {s.precision:.3f} R {s.recall:.3f} "
              f"at {s.confidence:.2f}, {s.labels} labels")  # fmt: skip
    print(f"all      mAP50 {flat['map50']:.3f} mAP50-95 {flat['map50_95']:.3f}", flush=True)
    return flat


def verdicts(found: Sequence[Rows], truth: Sequence[Rows], limits: Limits) -> dict[str, int]:
    counted = Counter(
        f"{'damaged' if has(t, DAMAGES) else 'intact'}_{verdict(rows, limits)}"
        for rows, t in zip(found, truth, strict=True)
    )
    return dict(sorted(counted.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="held-back renders, best 1920x1080")
    parser.add_argument("--facts", type=Path, required=True, help="JSON to write for export.py")
    parser.add_argument("--seed", type=int, default=90_001, help="of the held-back renders, for the record")
    parser.add_argument("--train-sets", required=True, help="SEED:COUNT:WxH of every training set, with commas between")
    given = parser.parse_args()
    files = sorted((given.data / "images").glob("*.jpg"))
    truth = [read_labels(given.data / "labels" / f"{path.stem}.txt") for path in files]
    half = len(files) // 2
    detector = Detector(given.model, 640)
    found = detect_all(detector, files)
    limits = suggest(found[:half], truth[:half])
    metrics = {"split": f"held-back renders (seed {given.seed}, n {len(files) - half}), 640 px"}
    metrics |= summary(found[half:], truth[half:])
    outcome = verdicts(found[half:], truth[half:], limits)
    print(f"thresholds {limits}\nverdicts {outcome}", flush=True)
    decoding = decoding_check(detector, files[half:], found[half:], limits)
    print(f"scaled decoding {decoding}", flush=True)
    small = summary(detect_all(Detector(given.model, 320), files[half:]), truth[half:])
    metrics |= {"map50_at_320": small["map50"], "map50_95_at_320": small["map50_95"]}
    identity = f"{script_sha256()} {given.train_sets}"
    facts = {
        "version": "1", "description": "Carton damage detector trained only on computer renders; a starting point.",
        "thresholds": limits, "scaled_decoding": decoding["allowed"], "decoding": decoding, "verdicts": outcome,
        "data": {
            "images": sum(int(part.split(":")[1]) for part in given.train_sets.split(",")),
            "seed": int(given.train_sets.split(":")[0]),
            "sha256": hashlib.sha256(identity.encode()).hexdigest(),
        },
        "metrics": metrics,
    }  # fmt: skip
    given.facts.write_text(json.dumps(facts, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
