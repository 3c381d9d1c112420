"""The engine: loads or builds a plan, and runs batches on a stream of its own."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from framegate.adapters.engine_tensorrt.buffers import Buffer
from framegate.adapters.engine_tensorrt.building import build_engine
from framegate.adapters.engine_tensorrt.cache import EngineCache
from framegate.adapters.engine_tensorrt.container import EngineKey, Precision, check_key, describe_input, pack, unpack
from framegate.adapters.engine_tensorrt.cuda import CudaError
from framegate.adapters.engine_tensorrt.plan import load_plan
from framegate.adapters.engine_tensorrt.platform import Complaints, Platform, find_platform
from framegate.kernel.errors import ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.serving import check_frames, read_checked, read_weights

SUFFIX: Final = ".engine"


class Graphs(Protocol):
    """What is asked of whoever edits ONNX graphs."""

    def is_quantised(self, data: bytes, manifest: ModelManifest, /) -> bool:
        """Whether the model carries INT8 scales; raises `ModelRefused`."""
        ...

    def for_tensorrt(self, data: bytes, manifest: ModelManifest, /, *, half: bool) -> bytes:
        """The model with uint8 frames (n, height, width, 3) as its input; raises `ModelRefused`."""
        ...


class TensorRtEngine:
    """Frames go to the device as bytes and are normalised there, unless another tool built the engine."""

    def __init__(
        self,
        manifest: ModelManifest,
        max_batch: int,
        cache: Path,
        graphs: Graphs,
        precision: Literal["auto", "f32"] = "auto",
        find: Callable[[], Platform] = find_platform,
    ) -> None:
        """Loads the engine that the manifest names, or builds it from the ONNX file, which takes minutes, and keeps it.

        Raises `ModelRefused`. A model with a fixed batch sets `max_batch` itself. Precision auto is INT8 for a model that
        carries its scales, else half.
        """
        self._manifest = manifest
        platform = find()
        self._cuda = platform.cuda
        self._complaints = Complaints(platform.tensorrt)
        with ExitStack() as freeing:
            freeing.callback(self._cuda.close)
            key, data = _engine_for(platform, manifest, max_batch, cache, graphs, precision)
            self._plan = load_plan(platform, data, manifest, self._complaints)
            fixed = self._plan.least == self._plan.most
            self.max_batch = self._plan.most if fixed else min(max_batch, self._plan.most)
            largest = max(self.max_batch, self._plan.least)
            try:
                self._input = Buffer(self._cuda, (largest, *self._plan.frames.frame), self._plan.frames.dtype, freeing)
                self._output = Buffer(self._cuda, (largest, *self._plan.output.frame), self._plan.output.dtype, freeing)
            except CudaError as error:
                raise ModelRefused(f"no memory for batches of {largest} ({error}): use a smaller max_batch") from error
            self._plan.context.set_tensor_address(self._plan.frames.name, self._input.address)
            self._plan.context.set_tensor_address(self._plan.output.name, self._output.address)
            self._closing = freeing.pop_all()
        self.description = f"tensorrt {platform.version} cuda {key.precision if key else 'as-built'}"

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `framegate.ports.engine`."""
        n = check_frames(self._manifest, self.max_batch, frames)
        size = max(n, self._plan.least)
        try:
            self._cuda.bind()
            self._fill(frames, size)
            done = self._run(size)
        except CudaError as error:
            raise self._cuda.fault(f"CUDA could not infer {n} frames: {error}") from error
        if not done:
            # Asking what kind of fault it is also waits for the copy that was enqueued: the buffers are free afterwards.
            raise self._cuda.fault(f"TensorRT could not infer {n} frames: {self._complaints.take()}")
        return np.array(self._output.array[:n], np.float32)

    def close(self) -> None:
        """Frees the device's memory, the plan and the stream."""
        self._cuda.bind()
        del self._plan
        self._closing.close()

    def _run(self, size: int) -> bool:
        plan = self._plan
        if not plan.context.set_input_shape(plan.frames.name, (size, *plan.frames.frame)):
            return False
        if tuple(plan.context.get_tensor_shape(plan.output.name)) != (size, *plan.output.frame):
            return False
        self._input.send(size)
        if not plan.context.execute_async_v3(self._cuda.stream):
            return False
        self._output.fetch(size)
        self._cuda.wait()
        return True

    def _fill(self, frames: NDArray[np.uint8], size: int) -> None:
        """What is missing from the smallest batch of the plan is the last frame again."""
        target, n = self._input.array, len(frames)
        if self._plan.takes_frames:
            target[:n] = frames
        else:
            ordered = frames[..., ::-1] if self._manifest.input.color == "bgr" else frames
            scale = target.dtype.type(self._manifest.input.scale)
            np.multiply(ordered.transpose(0, 3, 1, 2), scale, out=target[:n])
        target[n:size] = target[n - 1]


def engine_file(
    manifest: ModelManifest,
    max_batch: int,
    cache: Path,
    graphs: Graphs,
    precision: Literal["auto", "f32"] = "auto",
    find: Callable[[], Platform] = find_platform,
) -> tuple[bytes, str]:
    """What `TensorRtEngine` would load from the cache, to be kept as a file; and TensorRT's version. Raises like it."""
    platform = find()
    with closing(platform.cuda):
        key, plan = _engine_for(platform, manifest, max_batch, cache, graphs, precision)
    if key is None:
        raise ModelRefused(f"{manifest.weights} is an engine already, and of another tool: export from its ONNX file")
    return pack(key, plan), platform.version


def _engine_for(
    platform: Platform,
    manifest: ModelManifest,
    max_batch: int,
    cache: Path,
    graphs: Graphs,
    precision: Literal["auto", "f32"],
) -> tuple[EngineKey | None, bytes]:
    """The plan and what it was built for, None where only another tool knows."""
    if manifest.weights.suffix == SUFFIX:
        return _given(platform, manifest)
    onnx = read_weights(manifest)
    chosen: Precision = "f32" if precision == "f32" else "int8" if graphs.is_quantised(onnx, manifest) else "f16"
    key = _key_for(platform, manifest, chosen, max_batch)

    def build() -> bytes:
        prepared = graphs.for_tensorrt(onnx, manifest, half=chosen == "f16")
        return build_engine(platform, prepared, max_batch, exact=chosen == "f32", name=str(manifest.weights))

    return key, EngineCache(cache).get(key, build)


def _given(platform: Platform, manifest: ModelManifest) -> tuple[EngineKey | None, bytes]:
    """An engine file as weights. What another tool built has no key: TensorRT itself refuses what does not fit."""
    file = unpack(read_checked(manifest), manifest.weights)
    if file.key is not None:
        here = _key_for(platform, manifest, file.key.precision, file.key.max_batch)
        wanted = replace(here, onnx=file.key.onnx)
        check_key(file.key, wanted, manifest.weights, "export it again on this host, with its ONNX file")
    return file.key, file.plan


def _key_for(platform: Platform, manifest: ModelManifest, precision: Precision, max_batch: int) -> EngineKey:
    """The engine that this host would build from the manifest's ONNX file."""
    return EngineKey(
        onnx=manifest.sha256,
        compute_capability=platform.cuda.compute_capability,
        device=platform.cuda.device,
        tensorrt=platform.version,
        precision=precision,
        max_batch=max_batch,
        input=describe_input(manifest.input),
    )
