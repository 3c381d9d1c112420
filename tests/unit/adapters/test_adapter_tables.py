"""Adapters lie below the pipeline, so they repeat three of its facts; here they are held to it."""

from types import ModuleType

import pytest

from framegate.adapters.memory import state
from framegate.adapters.postgres import rows
from framegate.kernel.states import Lane
from framegate.pipeline import NEXT_MESSAGE, STEPS, queue_name


@pytest.mark.parametrize("module", [state, rows], ids=["memory", "postgres"])
def test_the_adapters_tables_are_those_of_the_pipeline(module: ModuleType) -> None:
    assert {stage: step.takes for stage, step in STEPS.items() if step.takes} == module.TAKES
    assert module.MESSAGE_FOR == NEXT_MESSAGE


@pytest.mark.parametrize("lane", list(Lane))
def test_messages_wait_in_the_queue_that_the_pipeline_names(lane: Lane) -> None:
    for image_state, message in NEXT_MESSAGE.items():
        expected = queue_name(message, lane)
        assert state.queue_of(image_state, lane) == expected
        assert rows.queue_for(image_state, lane) == expected
