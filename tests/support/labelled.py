"""A small labelled set in YOLO format, made on the spot."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.pictures import picture

SIDE_X, SIDE_Y = 150, 97


def labelled_set(directory: Path, count: int = 20) -> Path:
    """`count` pictures of an odd size with one bright carton each; the last one is empty."""
    for part in ("images", "labels"):
        (directory / part).mkdir(parents=True)
    (directory / "data.yaml").write_text("train: images\nnames: [carton, hole]\n", "utf-8")
    for i in range(count):
        pixels = np.asarray(picture(i, SIDE_X, SIDE_Y)).copy()
        if i < count - 1:
            pixels[30:70, 40:100] = (250, 240, 230)
            (directory / "labels" / f"{i:03d}.txt").write_text("0 0.46667 0.51546 0.4 0.41237\n", "utf-8")
        Image.fromarray(pixels).save(directory / "images" / f"{i:03d}.jpg", quality=90)
    return directory
