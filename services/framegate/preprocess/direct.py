"""A file to a prepared frame in this process, by the steps of the decoder child: for files that somebody vouches for."""

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.geometry import Letterbox
from framegate.kernel.imagefile import inspect_file
from framegate.kernel.manifest import ModelInput
from framegate.preprocess.decode import decode, scale_denominator
from framegate.preprocess.letterbox import prepare
from framegate.preprocess.sizes import fit, upright_size


def prepare_file(data: bytes, model: ModelInput) -> tuple[NDArray[np.uint8], Letterbox, int]:
    """Content rows, the letterbox, and the n of the 1/n at which the file was decoded.

    Raises `ImageRefused` or `InvalidFrame`.
    """
    header = inspect_file(data)
    upright = upright_size(header.width, header.height, header.orientation)
    box = fit(*upright, model)
    target = (box.content_width, box.content_height) if model.scaled_decoding else None
    stored = header.media_type, header.width, header.height, header.orientation
    frame = decode(data, header.media_type, header.orientation, target)
    content, letterbox = prepare(frame, model, upright)
    return content, letterbox, scale_denominator(*stored, target)
