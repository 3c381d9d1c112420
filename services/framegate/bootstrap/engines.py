"""The engines of this machine: opening one by its name, and the choice that `auto` makes.

The fastest comes first: TensorRT, torch on CUDA, ONNX Runtime on CUDA, OpenVINO, ONNX Runtime. Whatever is not the
reference itself must see in a few golden frames what the reference sees, ONNX Runtime in f32 on the CPU, unless the
model's own check vouches for exactly this engine, version and precision. A `.pt` is served by torch alone, an `.engine` by
TensorRT alone, and there is nothing to compare them with.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from framegate.environment import keep_ultralytics_offline
from framegate.inference.choice import Candidate, choose
from framegate.kernel.agreement import compare_all
from framegate.kernel.detections import Detections
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.weights import WeightsFacts, format_of
from framegate.observability.logs import get_log
from framegate.ports.engine import Engine
from framegate.settings import Settings
from framegate.starter import sample_frames

#: Those in which the starter finds the most. Few, because every start of an inference process waits for them.
_GOLDEN: Final = ("frame-12.jpg", "frame-14.jpg")

#: Weights that only TensorRT serves.
ENGINE_SUFFIX: Final = ".engine"


def make_engine(settings: Settings, manifest: ModelManifest) -> Engine:
    """The engine that the settings name, unchecked; with `auto` the fastest that works here and agrees with the reference.

    Raises `ModelRefused`, for `auto` with the reason of each engine that was tried.
    """
    if settings.engine != "auto":
        return open_engine(settings, manifest, settings.engine)
    golden = _Golden(settings, manifest)
    choice = choose(candidates(settings, manifest), golden.veto)
    get_log().info(
        "engine chosen",
        action="engine_chosen",
        model=manifest.ref,
        engine=choice.engine.description,
        reason=golden.because or "it is what others are compared with",
        refused=list(choice.refused),
    )
    return choice.engine


def fastest_engine(settings: Settings, manifest: ModelManifest) -> Engine:
    """What `auto` would try first of what loads here, whether it agrees with the reference or not."""
    return choose(candidates(settings, manifest), lambda _: "").engine


def open_engine(settings: Settings, manifest: ModelManifest, name: str, *, exact: bool = False) -> Engine:
    """One engine by the name it has in the settings; `exact`: in f32. Raises `ModelRefused` or `ConfigurationError`."""
    try:
        return _OPEN[name](settings, manifest, exact)
    except ImportError as error:
        raise ConfigurationError(f"the engine {name} is not installed here ({error}): {_remedy(name)}") from error


def reference_engine(settings: Settings, manifest: ModelManifest) -> Engine:
    """What engines are compared with: ONNX Runtime in f32 on the CPU; for a `.pt` torch in f32. Raises like `open_engine`."""
    if _is_checkpoint(manifest):
        return open_engine(settings, manifest, "torch", exact=True)
    return _onnxruntime(settings, manifest, "cpu", 1)


def candidates(settings: Settings, manifest: ModelManifest) -> Iterator[Candidate]:
    """Everything that could serve `manifest`, the fastest first; nothing is loaded before it is opened."""

    def opening(name: str, exact: bool = False) -> Callable[[], Engine]:
        return lambda: _OPEN[name](settings, manifest, exact)

    def on_cuda(device_engine: Callable[[], Engine]) -> Callable[[], Engine]:
        return lambda: _with_cuda(device_engine)

    if _is_checkpoint(manifest):
        yield Candidate("torch", opening("torch"), is_reference=True)
        return
    if manifest.weights.suffix == ENGINE_SUFFIX:
        yield Candidate("tensorrt", on_cuda(opening("tensorrt")), is_reference=True)
        return
    yield Candidate("tensorrt", on_cuda(opening("tensorrt")), on_cuda(opening("tensorrt", exact=True)))
    yield Candidate("onnxruntime on CUDA", on_cuda(lambda: _onnxruntime(settings, manifest, "cuda")))
    yield Candidate("openvino", opening("openvino"), opening("openvino", exact=True))
    yield Candidate("onnxruntime", lambda: _onnxruntime(settings, manifest, "cpu"), is_reference=True)


def engine_cache(settings: Settings) -> Path:
    """Where engines that TensorRT built on this host are kept."""
    return settings.data.expanduser() / "cache" / "engines"


def describe_weights(data: bytes, where: Path) -> WeightsFacts:
    """What the file says about itself. A checkpoint is code and is run for it: only files that are trusted.

    Raises `ModelRefused`, or `ConfigurationError` when a `.pt` needs torch and it is not installed.
    """
    if format_of(data) == "onnx":
        from framegate.adapters.onnx_file import describe_onnx

        return describe_onnx(data, where)
    keep_ultralytics_offline()
    try:
        from framegate.adapters.engine_torch import describe_checkpoint
    except ImportError as error:
        raise ConfigurationError(f"{where} is a PyTorch file ({error}): {_remedy('torch')}") from error
    return describe_checkpoint(data, where)


class _Golden:
    """Compares engines with the reference on the sample frames; both are prepared once, when somebody asks."""

    def __init__(self, settings: Settings, manifest: ModelManifest) -> None:
        self._settings, self._manifest = settings, manifest
        self.because = ""  #: why the last engine was not vetoed

    def veto(self, engine: Engine) -> str:
        """Why `engine` may not serve; empty when it may. Raises what either engine raises."""
        if self._manifest.check.get("agrees") is True and self._manifest.check.get("engine") == engine.description:
            self.because = "the model's own check vouches for it"
            return ""
        agreement = compare_all(self._expected, self._answers(engine))
        if not agreement.holds:
            return f"it disagrees with onnxruntime f32: {agreement}"
        self.because = f"it agrees with onnxruntime f32: {agreement}"
        if not agreement.boxes:
            self.because = (
                "nothing speaks against it: no clear box in the golden frames; 'framegate models check' says more"
            )
        return ""

    def _answers(self, engine: Engine) -> list[Detections]:
        from framegate.inference.answers import answers

        return answers(engine, self._manifest, self._frames)

    @cached_property
    def _expected(self) -> list[Detections]:
        with closing(reference_engine(self._settings, self._manifest)) as reference:
            return self._answers(reference)

    @cached_property
    def _frames(self) -> Sequence[Any]:
        from framegate.preprocess.direct import prepare_file

        golden = (file.read_bytes() for file in sample_frames() if file.name in _GOLDEN)
        return [prepare_file(data, self._manifest.input)[:2] for data in golden]


def _is_checkpoint(manifest: ModelManifest) -> bool:
    try:
        with manifest.weights.open("rb") as weights:
            return format_of(weights.read(4)) == "torch"
    except OSError as error:
        raise ModelRefused(f"cannot read the weights {manifest.weights}: {error.strerror or error}") from error


def _with_cuda(opening: Callable[[], Engine]) -> Engine:
    from framegate.adapters.cuda_driver import cuda_trouble

    if trouble := cuda_trouble():
        raise ModelRefused(trouble)
    return opening()


def _openvino(settings: Settings, manifest: ModelManifest, exact: bool) -> Engine:
    from framegate.adapters.engine_openvino import OpenVinoEngine

    options = settings.inference
    exact = exact or options.precision == "f32" or manifest.check.get("precision") == "f32"
    return OpenVinoEngine(manifest, options.max_batch, options.threads, "f32" if exact else "auto")


def _onnxruntime(
    settings: Settings, manifest: ModelManifest, device: Any = "auto", max_batch: int | None = None
) -> Engine:
    from framegate.adapters.engine_onnxruntime import OnnxRuntimeEngine

    options = settings.inference
    return OnnxRuntimeEngine(manifest, max_batch or options.max_batch, options.threads, device)


def _torch(settings: Settings, manifest: ModelManifest, exact: bool) -> Engine:
    keep_ultralytics_offline()
    from framegate.adapters.engine_torch import TorchEngine

    options = settings.inference
    return TorchEngine(manifest, options.max_batch, options.threads, precision="f32" if exact else options.precision)


def _tensorrt(settings: Settings, manifest: ModelManifest, exact: bool) -> Engine:
    from framegate.adapters import onnx_graphs
    from framegate.adapters.engine_tensorrt import TensorRtEngine

    precision = "f32" if exact else settings.inference.precision
    return TensorRtEngine(manifest, settings.inference.max_batch, engine_cache(settings), onnx_graphs, precision)


def _remedy(name: str) -> str:
    extra = {"torch": "[torch]", "tensorrt": "[gpu]"}.get(name, "")
    return f"pip install 'framegate{extra}'"


_OPEN: Final[dict[str, Callable[[Settings, ModelManifest, bool], Engine]]] = {
    "openvino": _openvino,
    "onnxruntime": lambda settings, manifest, _: _onnxruntime(settings, manifest),
    "torch": _torch,
    "tensorrt": _tensorrt,
}
