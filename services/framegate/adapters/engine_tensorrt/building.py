"""From an ONNX graph to a plan. Minutes of work for the GPU; nothing else should run on it meanwhile."""

from framegate.adapters.engine_tensorrt.platform import Complaints, Platform
from framegate.adapters.engine_tensorrt.runtime_api import TensorRt
from framegate.kernel.errors import ModelRefused


def build_engine(platform: Platform, onnx: bytes, max_batch: int, *, exact: bool, name: str) -> bytes:
    """The plan of `onnx`, whose one input's first axis is the batch; `name` is for errors. Raises `ModelRefused`.

    A dynamic batch gets one profile, 1 to `max_batch` and fastest for `max_batch`: the stage fills batches or sends single
    frames, and a profile for each size would multiply the build's time and the device's memory. Precision is the graph's;
    `exact` also forbids TF32.
    """
    trt = platform.tensorrt
    complaints = Complaints(trt)
    builder = trt.Builder(complaints.logger)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, complaints.logger)
    if not parser.parse(onnx):
        errors = "; ".join(str(parser.get_error(i)) for i in range(min(parser.num_errors, 3)))
        raise ModelRefused(f"TensorRT {platform.version} cannot parse {name}: {errors}; use another engine")
    config = builder.create_builder_config()
    if exact:
        config.clear_flag(trt.BuilderFlag.TF32)
    frames = network.get_input(0)
    shape = tuple(frames.shape)
    if shape[0] == -1:
        profile = builder.create_optimization_profile()
        smallest, largest = (1, *shape[1:]), (max_batch, *shape[1:])
        profile.set_shape(frames.name, smallest, largest, largest)
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelRefused(
            f"TensorRT {platform.version} cannot build {name}: {complaints.take()}; use a smaller batch or another engine"
        )
    return bytes(plan)


def _strongly_typed(trt: TensorRt) -> int:
    """In TensorRT 10 a flag, in 11 always on and the flag without effect."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)
