"""Whether a frame is worth an automatic verdict: a handful of measures on its luma."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.inspection import Quality

_DARK, _BRIGHT = 5, 251  # luma below, and from, which a pixel holds no more detail


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Where doubt begins. Measured on frames of 640 pixels: 80 photos of parcels (white backdrops among them) and the
    same photos blurred. They err towards a look by a person; noise that was smoothed before it came is not noticed.
    """

    min_exposure: float = 25.0  #: darkest of the photos 72; a frame at 10 shows nothing to a person either
    max_exposure: float = 250.0  #: brightest of the photos, on a white backdrop, 246
    max_clipped: float = 0.9  #: share of pixels; at most 0.81 on a white backdrop
    min_sharpness: float = 10.0  #: least of the photos 17.6; blurred by 2 px: 5 at the median, by 4 px: below 3.2
    min_contrast: float = 6.0  #: least of the photos 23; a covered lens stays below 3, noise included
    max_roughness: float = 8.0  #: sharpness / contrast²: 20 for white noise by arithmetic, at most 1.5 on the photos
    min_side: int = 160  #: pixels of the original: a hole of a twentieth of the frame is 8 pixels wide


_LIMITS: Final = QualityLimits()


def measure(
    content: NDArray[np.uint8], original: tuple[int, int] | None = None, limits: QualityLimits = _LIMITS
) -> Quality:
    """Of `content` (h, w, 3) RGB; `original` is its upright (width, height) before scaling."""
    luma = cv2.cvtColor(content, cv2.COLOR_RGB2GRAY)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    shares = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel().astype(np.float64) / luma.size
    levels = np.arange(256)
    exposure = float(shares @ levels)
    sharpness = float(deviation[0, 0]) ** 2
    contrast = float(np.sqrt(shares @ (levels - exposure) ** 2))
    dark, bright = float(shares[:_DARK].sum()), float(shares[_BRIGHT:].sum())
    doubts = {
        "too-dark": exposure < limits.min_exposure or dark > limits.max_clipped,
        "too-bright": exposure > limits.max_exposure or bright > limits.max_clipped,
        "blurred": sharpness < limits.min_sharpness,
        "flat": contrast < limits.min_contrast,
        "noise": sharpness > limits.max_roughness * contrast**2,
        "small": original is not None and min(original) < limits.min_side,
    }
    flags = tuple(name for name, doubt in doubts.items() if doubt)
    red, _, blue, _ = cv2.mean(content[::4])  # colours change slowly: a quarter of the rows says as much
    return Quality(sharpness, exposure, contrast, dark, bright, flags, (blue - exposure, red - exposure))
