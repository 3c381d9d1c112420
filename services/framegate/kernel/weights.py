"""What a file of weights says about itself, whatever its format."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["onnx", "torch"]
Shape = tuple[int | None, ...]  #: None: any number


@dataclass(frozen=True, slots=True)
class WeightsFacts:
    """Empty and None where the file does not say; what it says need not be true."""

    format: Format
    input_name: str
    input_shape: Shape  #: NCHW for a model of pictures
    output_shape: Shape
    classes: tuple[str, ...] = ()
    size: tuple[int, int] | None = None  #: (width, height) it was exported for
    stride: int | None = None  #: sides of the input must be multiples of it
    task: str = ""
    end2end: bool = False  #: boxes come out without NMS
    licence: str = ""
    origin: str = ""  #: which tool wrote it, from what


def format_of(data: bytes) -> Format:
    """From the first bytes: PyTorch writes ZIP archives, and before 1.6 bare pickles; the rest is left to ONNX."""
    return "torch" if data[:4] == b"PK\x03\x04" or data[:1] == b"\x80" else "onnx"
