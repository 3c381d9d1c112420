"""Render warehouse frames with labelled cartons, damage and shipping labels as a YOLO data set.

    python models/carton/render.py --out /tmp/cartons --count 8000 --seed 1 --size 640x360

Writes OUT/images/NNNNNN.jpg, OUT/labels/NNNNNN.txt (class, centre x, centre y, width, height as shares of the frame)
and OUT/data.yaml. Frame i of a seed is always the same, whatever the number of processes; a rerun keeps what is there.
"""

import argparse
import hashlib
import multiprocessing
import sys
import time
from functools import partial
from pathlib import Path

import cv2
from scene import CLASSES, frame_with_labels, jpeg_quality


def write_one(out: Path, seed: int, width: int, height: int, dense: bool, index: int) -> int:
    """Render one frame unless both its files exist; returns the number of its labels."""
    image, label = out / "images" / f"{index:06d}.jpg", out / "labels" / f"{index:06d}.txt"
    if image.exists() and label.exists():
        return 0
    cv2.setNumThreads(1)
    frame, boxes = frame_with_labels(seed, index, width, height, dense)
    rows = [
        f"{b.kind} {(b.x1 + b.x2) / 2 / width:.6f} {(b.y1 + b.y2) / 2 / height:.6f} "
        f"{(b.x2 - b.x1) / width:.6f} {(b.y2 - b.y1) / height:.6f}"
        for b in boxes
    ]
    label.write_text("\n".join(rows) + ("\n" if rows else ""))
    encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality(seed, index)])[1]
    image.write_bytes(encoded.tobytes())
    return len(rows)


def write_description(out: Path) -> None:
    names = "\n".join(f"  {number}: {name}" for number, name in enumerate(CLASSES))
    (out / "data.yaml").write_text(f"path: {out.resolve()}\ntrain: images\nval: images\nnames:\n{names}\n")


def script_sha256() -> str:
    """Hash over the renderer's own source: with seed, count and size it names a data set."""
    here = Path(__file__).parent
    total = hashlib.sha256()
    for name in ("render.py", "scene.py", "cuboid.py", "damage.py", "textures.py"):
        total.update((here / name).read_bytes())
    return total.hexdigest()


def render(out: Path, count: int, seed: int, width: int, height: int, processes: int, dense: bool = False) -> None:
    for folder in ("images", "labels"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_description(out)
    work = partial(write_one, out, seed, width, height, dense)
    began, labelled = time.monotonic(), 0
    with multiprocessing.Pool(processes) as pool:
        for done, found in enumerate(pool.imap_unordered(work, range(count), chunksize=8), 1):
            labelled += found
            if done % 200 == 0 or done == count:
                rate = done / (time.monotonic() - began)
                print(f"{done}/{count} frames, {labelled} labels, {rate:.1f} frames/s", flush=True)


def parse_size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"size must look like 640x360, not {text!r}") from None
    if not (160 <= width <= 2047 and 120 <= height <= 2047):
        raise argparse.ArgumentTypeError("sides must lie between 160x120 and 2047x2047")
    return width, height


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to fill (made if missing)")
    parser.add_argument("--count", type=int, default=1000, help="number of frames (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the whole set (default 1)")
    parser.add_argument("--size", type=parse_size, default=(640, 360), metavar="WxH", help="default 640x360")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count(), help="default: one a core")
    parser.add_argument("--dense", action="store_true", help="damage on nearly every carton, for training only")
    given = parser.parse_args()
    render(given.out, given.count, given.seed, given.size[0], given.size[1], given.processes, given.dense)
    print(f"renderer sha256 {script_sha256()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
