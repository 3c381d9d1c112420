"""Small real pictures, each different."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parents[3] / "shared" / "data"


def shared_data(*parts: str) -> Path:
    """A file or folder of the shared test data; skips where it is absent."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared test data is absent: {'/'.join(parts)}")
    return path


def picture(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """Smooth colour fields with some texture: sharp enough and bright enough to be an ordinary frame."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 215, (6, 8, 3), np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    return Image.fromarray(noisy)


def jpeg(seed: int, width: int = 320, height: int = 240, **options: object) -> bytes:
    out = io.BytesIO()
    picture(seed, width, height).save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def png(seed: int, width: int = 320, height: int = 240) -> bytes:
    out = io.BytesIO()
    picture(seed, width, height).save(out, "PNG")
    return out.getvalue()


def cut_in_mid_scan(data: bytes, length: int = 3000) -> bytes:
    """A JPEG that lost `length` bytes of its scan but kept its end: lenient decoders load it."""
    middle = len(data) // 2
    return data[:middle] + data[middle + length :]
