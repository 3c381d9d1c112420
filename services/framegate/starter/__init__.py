"""The starter model (`model.onnx`, `model.toml`) and sample frames, so that a fresh install has something to run.

The frames are computer renders from `models/carton/render.py`, not photographs; no training set contains them.
"""

from pathlib import Path


def starter_dir() -> Path:
    """Folder of `model.toml`, `model.onnx` and `frames/`; read-only, inside the installed package."""
    return Path(__file__).parent


def sample_frames() -> list[Path]:
    """The sample frames (1280x720 JPEG), sorted by name."""
    return sorted((starter_dir() / "frames").glob("*.jpg"))
