"""What second looks resolve and cost: `python tests/benchmarks/second_look.py --labels DIR [--model REF]`, prints JSON.

DIR holds labelled images in any form that `framegate evaluate` takes. Every image is decided by the model's first policy
with one look; each that is only uncertain is looked at again (no budget), and both outcomes are held against the labels.
`wrong` counts damaged images that pass, and intact ones that fail. Milliseconds are medians, one image after the other:
decoding in a child, inference and decision.
"""

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from framegate.bootstrap import load_manifest
from framegate.bootstrap.engines import make_engine
from framegate.gate.decide import decide, judge
from framegate.gate.looks import decide_again, doubtful_region, is_only_uncertain
from framegate.gate.policy import Policy, document_from_manifest
from framegate.inference.heads import decode_head
from framegate.inference.stage import finding
from framegate.kernel.frames import pad
from framegate.kernel.geometry import Region
from framegate.kernel.ids import DEFAULT_FACILITY, CameraId, new_image_id
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.inspection import Finding, FirstLook, ImageFacts, Inspected, Prepared
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.states import CameraStatus, Lane
from framegate.models.evaluation import defects_of
from framegate.models.labels import LabelledImage, read_labels
from framegate.ports.engine import Engine
from framegate.preprocess.decoder_pool import DecodeJob, DecoderChild
from framegate.settings import Settings


@dataclass(frozen=True)
class Eye:
    """One image at a time, as the stages look at it."""

    manifest: ModelManifest
    engine: Engine
    child: DecoderChild

    def look(self, data: bytes, region: Region | None = None) -> tuple[Prepared, Finding]:
        header = inspect_file(data)
        stored = header.media_type, header.width, header.height, header.orientation
        frame = self.child.prepare(DecodeJob(data, *stored, self.manifest.input, region))
        size = self.manifest.input
        out = np.empty((1, size.height, size.width, 3), np.uint8)
        pad(frame.content, frame.letterbox, size.pad_value, out=out[0])
        (rows,) = decode_head(self.engine.infer(out), self.manifest)
        prepared = Prepared("", "raw", frame.letterbox, frame.quality, frame.recipe)
        return prepared, finding(rows, frame.letterbox, self.manifest, self.engine.description)


def facts(data: bytes, sha256: str) -> ImageFacts:
    """As a confirmed camera's."""
    header = inspect_file(data)
    return ImageFacts(
        DEFAULT_FACILITY, new_image_id(), CameraId("bench"), CameraStatus.CONFIRMED, Lane.LIVE, "", header.media_type,
        sha256, len(data), header.width, header.height, header.orientation, datetime.now(UTC),
    )  # fmt: skip


def compare(eye: Eye, policy: Policy, images: tuple[LabelledImage, ...], defects: frozenset[int]) -> Iterator[Any]:
    """(damaged, verdict after one look, verdict, reason, ms of the second look or None, ms of the first) of each image."""
    for image in images:
        data = image.path.read_bytes()
        damaged = image.damaged if image.damaged is not None else bool(defects.intersection(image.class_id.tolist()))
        seen = facts(data, image.sha256)
        started = time.perf_counter()
        prepared, found = eye.look(data)
        one = decide(policy, seen, prepared, found)
        first_ms = (time.perf_counter() - started) * 1000
        again = one
        ms = None
        if isinstance(found, Inspected) and is_only_uncertain(judge(policy.rules, seen, prepared, found)):
            region = doubtful_region(policy.rules, prepared, found)
            if region is not None:
                started = time.perf_counter()
                again = decide_again(policy, seen, FirstLook(found, prepared, region), *eye.look(data, region))
                ms = (time.perf_counter() - started) * 1000
        yield damaged, str(one.verdict), str(again.verdict), again.reason, ms, first_ms


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--clear-below", type=float, help="default: a second look clears nothing")
    wanted = parser.parse_args()
    manifest = load_manifest(wanted.model)
    look = {"clear_below": wanted.clear_below}
    policy = Policy.parse(1, document_from_manifest(manifest) | {"second_look": look})
    names = defects_of(manifest, ())
    labelled = read_labels(wanted.labels, manifest.classes, names)
    engine, child = make_engine(Settings.read(), manifest), DecoderChild()
    try:
        eye = Eye(manifest, engine, child)
        eye.look(labelled.images[0].path.read_bytes())  # warm
        rows = list(
            compare(eye, policy, labelled.images, frozenset(n for n, c in enumerate(manifest.classes) if c in names))
        )
    finally:
        child.close()
        engine.close()
    print(json.dumps(summary(rows) | {"model": manifest.ref, "engine": engine.description}))


def summary(rows: list[Any]) -> dict[str, Any]:
    """Counts."""
    looked = [row for row in rows if row[4] is not None]
    told = {True: "damaged", False: "intact"}
    return {
        "images": dict(Counter(told[damaged] for damaged, *_ in rows)),
        "one_look": _verdicts(rows, 1),
        "two_looks": _verdicts(rows, 2),
        "second_looks": len(looked),
        "ended": dict(Counter(f"{told[row[0]]} {row[2]} {row[3]}" for row in looked)),
        "wrong": {
            "one_look": sum(_wrong(row[0], row[1]) for row in rows),
            "two_looks": sum(_wrong(row[0], row[2]) for row in rows),
        },
        "first_ms": round(statistics.median([row[5] for row in rows]), 1),
        "second_ms": round(statistics.median([row[4] for row in looked]), 1) if looked else None,
    }


def _verdicts(rows: list[Any], column: int) -> dict[str, int]:
    return dict(sorted(Counter(row[column] for row in rows).items()))


def _wrong(damaged: bool, verdict: str) -> bool:
    return verdict == ("pass" if damaged else "fail")


if __name__ == "__main__":
    main()
