"""How a batch of one size is run: eagerly, as a CUDA graph, or compiled. Written for GPUs, never run on one."""

from collections.abc import Callable
from typing import Any, Literal

import torch

Execution = Literal["auto", "eager", "graph", "compile"]
Tensor = Any
Forward = Callable[[Tensor], Tensor]
_WARM_RUNS = 3
_TIMED_RUNS = 10


def runner(forward: Forward, batch: Tensor, execution: Execution, network: Any) -> Forward:
    """`forward` for batches as large as `batch`; the result is valid until the runner's next call.

    auto: on CUDA the faster of eager and graph, on a CPU eager.
    """
    if execution == "compile":
        compiled: Forward = torch.compile(forward, dynamic=False)
        return compiled
    if execution == "eager" or (execution == "auto" and batch.device.type != "cuda"):
        return forward
    if execution == "graph":
        return Graph(forward, batch, network)
    try:
        graph = Graph(forward, batch, network)
    except RuntimeError:
        # No memory for it, or something that cannot be captured. A lost GPU shows in the eager run that follows.
        return forward
    return graph if _milliseconds(graph, batch) < _milliseconds(forward, batch) else forward


class Graph:
    """The kernels of one batch size, recorded once and started together. https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs"""

    def __init__(self, forward: Forward, batch: Tensor, network: Any) -> None:
        """Runs `forward` a few times, then records it. Raises `RuntimeError`."""
        self._input = batch.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_RUNS):
                forward(self._input)
        torch.cuda.current_stream().wait_stream(stream)
        # The head keeps its grid for one batch size at a time; the graph reads the grid of its own.
        head = network.model[-1]
        self._grid = getattr(head, "anchors", None), getattr(head, "strides", None)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = forward(self._input)

    def __call__(self, batch: Tensor) -> Tensor:
        """The output, overwritten by the next call."""
        self._input.copy_(batch)
        self._graph.replay()
        return self._output


def _milliseconds(run: Forward, batch: Tensor) -> float:
    for _ in range(_WARM_RUNS):
        run(batch)
    began, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    began.record()
    for _ in range(_TIMED_RUNS):
        run(batch)
    ended.record()
    ended.synchronize()
    return float(began.elapsed_time(ended))
