from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from framegate.inference.choice import Candidate, choose
from framegate.kernel.errors import EngineFault, ModelRefused
from framegate.ports.engine import Engine


class FakeEngine:
    max_batch = 1

    def __init__(self, description: str) -> None:
        self.description = description
        self.closed = False

    def infer(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def close(self) -> None:
        self.closed = True


def raising(error: Exception) -> Callable[[], Engine]:
    def opening() -> Engine:
        raise error

    return opening


def disagrees_with(*names: str) -> Callable[[Engine], str]:
    return lambda engine: "3 boxes lost" if engine.description in names else ""


def test_the_first_that_is_there_loads_and_agrees_serves_and_the_others_reasons_are_kept() -> None:
    third, fourth, fifth = FakeEngine("third 1 cpu f32"), FakeEngine("fourth 1 cpu f32"), FakeEngine("fifth 1 cpu f32")
    choice = choose(
        [
            Candidate("first", raising(ModuleNotFoundError("No module named 'first'"))),
            Candidate("second", raising(ModelRefused("second cannot load model.onnx: export it again"))),
            Candidate("third", lambda: third),
            Candidate("fourth", lambda: fourth),
            Candidate("fifth", lambda: fifth),
        ],
        disagrees_with("third 1 cpu f32"),
    )
    assert choice.engine is fourth
    assert choice.refused == (
        "first: not installed (No module named 'first')",
        "second: second cannot load model.onnx: export it again",
        "third 1 cpu f32: 3 boxes lost",
    )
    assert third.closed
    assert not fourth.closed


def test_reduced_precision_that_disagrees_gives_way_to_the_same_engine_in_f32() -> None:
    reduced, exact = FakeEngine("openvino 1 cpu bf16"), FakeEngine("openvino 1 cpu f32")
    other = FakeEngine("onnxruntime 1 cpu f32")
    choice = choose(
        [Candidate("openvino", lambda: reduced, lambda: exact), Candidate("onnxruntime", lambda: other)],
        disagrees_with("openvino 1 cpu bf16"),
    )
    assert choice.engine is exact
    assert choice.refused == ("openvino 1 cpu bf16: 3 boxes lost",)
    assert reduced.closed


def test_an_engine_that_is_in_f32_already_is_not_loaded_a_second_time() -> None:
    exact, other = FakeEngine("openvino 1 cpu f32"), FakeEngine("onnxruntime 1 cpu f32")
    choice = choose(
        [
            Candidate("openvino", lambda: exact, raising(AssertionError("loaded again"))),
            Candidate("onnxruntime", lambda: other),
        ],
        disagrees_with("openvino 1 cpu f32"),
    )
    assert choice.engine is other
    assert choice.refused == ("openvino 1 cpu f32: 3 boxes lost",)


def test_the_reference_is_not_compared_with_itself() -> None:
    reference = FakeEngine("onnxruntime 1 cpu f32")
    choice = choose([Candidate("onnxruntime", lambda: reference, is_reference=True)], lambda _: "never right")
    assert choice.engine is reference


@pytest.mark.parametrize("error", [EngineFault("the output holds 3 NaN"), RuntimeError("illegal instruction")])
def test_an_engine_that_fails_while_it_is_compared_is_closed_and_passed_over(error: Exception) -> None:
    broken, good = FakeEngine("broken 1 cuda f16"), FakeEngine("good 1 cpu f32")

    def vet(engine: Engine) -> str:
        if engine is broken:
            raise error
        return ""

    choice = choose([Candidate("broken", lambda: broken), Candidate("good", lambda: good)], vet)
    assert choice.engine is good
    assert choice.refused == (f"broken 1 cuda f16: {error}",)
    assert broken.closed


def test_an_installation_that_fails_in_its_own_way_is_passed_over() -> None:
    good = FakeEngine("good 1 cpu f32")
    broken = Candidate("broken", raising(OSError("libcudart.so.12: cannot open shared object file")))
    choice = choose([broken, Candidate("good", lambda: good)], lambda _: "")
    assert choice.refused == ("broken: libcudart.so.12: cannot open shared object file",)


def test_when_nothing_can_serve_all_reasons_are_told() -> None:
    wrong = FakeEngine("second 1 cpu f32")
    with pytest.raises(ModelRefused) as refusal:
        choose(
            [Candidate("first", raising(ImportError("no first"))), Candidate("second", lambda: wrong)],
            disagrees_with("second 1 cpu f32"),
        )
    assert "first: not installed (no first); second 1 cpu f32: 3 boxes lost" in str(refusal.value)
    assert wrong.closed
