"""What describes the pipeline elsewhere follows the one table in the code."""

from itertools import pairwise
from pathlib import Path

import pytest

from framegate.kernel.messages import MESSAGES
from framegate.kernel.states import ImageState, Lane, Stage
from framegate.pipeline import ALL_QUEUES, PIPELINE, STEPS, queues_at, queues_of

ROOT = Path(__file__).parents[2]


def test_every_stage_has_one_row_and_every_message_one_consumer() -> None:
    assert [step.stage for step in PIPELINE] == list(Stage)
    assert sorted(step.consumes.name for step in PIPELINE if step.consumes) == sorted(MESSAGES)


def test_what_a_stage_emits_is_what_the_next_one_consumes() -> None:
    consuming = [step for step in PIPELINE if step.consumes]
    for before, after in pairwise(consuming):
        assert before.emits is after.consumes
        assert before.leaves is after.takes
    assert STEPS[Stage.INGEST].emits is consuming[0].consumes
    assert STEPS[Stage.INGEST].leaves is ImageState.RECEIVED


def test_queues_are_named_after_message_and_lane() -> None:
    assert queues_of(Stage.PREPROCESS) == ("frame-submitted-live", "frame-submitted-bulk")
    assert len(ALL_QUEUES) == 3 * len(Lane)
    assert queues_of(Stage.SWEEP) == ()


def test_a_stage_meets_the_queues_it_consumes_and_those_it_feeds() -> None:
    assert queues_at(Stage.GATE) == ("frame-inspected-live", "frame-inspected-bulk")
    assert queues_at(Stage.INGEST) == queues_of(Stage.PREPROCESS)
    assert set(queues_at(Stage.INFERENCE)) == {*queues_of(Stage.INFERENCE), *queues_of(Stage.GATE)}


def test_each_stage_has_its_folder_with_a_docstring() -> None:
    for stage in Stage:
        assert (ROOT / "services/framegate" / stage / "__init__.py").read_text("utf-8").startswith('"""'), stage


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_documents_name_every_stage_and_message(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for step in PIPELINE:
        assert f"`{step.stage}`" in text
        if step.consumes:
            assert f"`{step.consumes.name}`" in text
