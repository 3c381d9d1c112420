"""PyTorch: checkpoints of ultralytics as they are, on a CPU and on NVIDIA GPUs.

The CUDA half (f16, graphs, compilation) is written and type-checked, but has never run on a GPU.
"""

from framegate.adapters.engine_torch.checkpoint import describe_checkpoint, load_network
from framegate.adapters.engine_torch.engine import TorchEngine

__all__ = ["TorchEngine", "describe_checkpoint", "load_network"]
