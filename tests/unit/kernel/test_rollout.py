"""Which camera gets which model, and what a model must have been through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framegate.kernel.errors import ModelRefused
from framegate.kernel.ids import CameraId, FacilityId
from framegate.kernel.rollout import ModelKey, ModelState, Rollout, check_step

OLD, NEW, THIRD = (ModelKey(f"carton@{n}", f"{n}{n}" * 32) for n in (1, 2, 3))
HALL = FacilityId("hall")
CAMERAS = [CameraId(f"dock-{n}") for n in range(2000)]


def canaries(share: float, canary: ModelKey = NEW) -> set[CameraId]:
    rollout = Rollout(OLD, canary, share)
    return {camera for camera in CAMERAS if rollout.model_for(HALL, camera) == canary}


def test_without_a_canary_every_camera_has_the_incumbent() -> None:
    assert {Rollout(OLD, shadow=NEW).model_for(HALL, camera) for camera in CAMERAS} == {OLD}


@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_the_canary_gets_its_share_of_the_cameras(share: float) -> None:
    # Three standard deviations of a binomial of 2,000.
    assert abs(len(canaries(share)) / 2000 - share) <= 3 * (share * (1 - share) / 2000) ** 0.5


@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_larger_share_keeps_the_cameras_of_a_smaller_one(one: float, other: float) -> None:
    assert canaries(min(one, other)) <= canaries(max(one, other))


def test_another_canary_gets_other_cameras() -> None:
    assert canaries(0.1) != canaries(0.1, THIRD)


@pytest.mark.parametrize(
    "roles", [{"canary": NEW}, {"canary_share": 0.1}, {"canary": NEW, "canary_share": 1.5}, {"shadow": OLD}]
)
def test_a_rollout_that_makes_no_sense_is_refused(roles: dict[str, object]) -> None:
    with pytest.raises(ModelRefused):
        Rollout(OLD, **roles)  # type: ignore[arg-type]


LEGAL = {
    ("registered", "validated"), ("validated", "validated"), ("validated", "approved"), ("approved", "approved"),
    ("approved", "deployed"), ("deployed", "deployed"), ("retired", "deployed"), ("deployed", "retired"),
}  # fmt: skip


@pytest.mark.parametrize("state", ModelState)
@pytest.mark.parametrize("to", ModelState)
def test_a_step_is_allowed_or_says_what_to_do_instead(state: ModelState, to: ModelState) -> None:
    if (str(state), str(to)) in LEGAL:
        check_step("carton@1", state, to)
    else:
        with pytest.raises(ModelRefused, match=rf"carton@1 is {state} and cannot become {to}: .+"):
            check_step("carton@1", state, to)
