"""TensorRT 10 and 11 on one NVIDIA GPU. Needs the extra `gpu`; see docs/engines.md for what has run and what has not."""

from framegate.adapters.engine_tensorrt.building import build_engine
from framegate.adapters.engine_tensorrt.container import EngineKey, Precision
from framegate.adapters.engine_tensorrt.engine import TensorRtEngine, engine_file
from framegate.adapters.engine_tensorrt.platform import Platform, find_platform

__all__ = ["EngineKey", "Platform", "Precision", "TensorRtEngine", "build_engine", "engine_file", "find_platform"]
