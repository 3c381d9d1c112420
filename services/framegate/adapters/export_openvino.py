"""OpenVINO's own format (IR), for its other tools: Model Server, benchmark_app."""

from pathlib import Path

import openvino as ov

from framegate.kernel.errors import ModelRefused


def save_ir(data: bytes, target: Path, *, half: bool) -> None:
    """Writes `target` (.xml) and the .bin beside it; `half`: weights are kept in float16. Raises `ModelRefused`."""
    try:
        ov.save_model(ov.Core().read_model(data, b""), target, compress_to_fp16=half)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ModelRefused(f"OpenVINO {ov.__version__} cannot convert the model to {target}: {reason}") from error
