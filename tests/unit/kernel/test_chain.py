from typing import Any

import pytest

from framegate.kernel.chain import MAX_LINKS, Chains, Link, parse_chain
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.rollout import ModelState, check_link

CARTONS = {"model": "wear@1", "of": ["carton"]}


def test_a_link_names_its_model_and_what_it_looks_at() -> None:
    whole = {"model": "scene@2", "min_confidence": 0.5}
    assert parse_chain([CARTONS, whole], "policy.chain") == (
        Link("wear@1", frozenset({"carton"}), 0.25),
        Link("scene@2", None, 0.5),
    )


def test_a_policy_without_a_chain_names_no_models() -> None:
    chains = Chains.parse({"schema": 1, "classes": {}, "cameras": {"dock-1": {"require": []}}})
    assert (chains.models, chains.for_camera("dock-1")) == (frozenset(), ())


def test_a_camera_replaces_the_chain_or_has_none_at_all() -> None:
    own = {"dock-1": {"chain": [{"model": "pallet@3"}]}, "dock-2": {"chain": []}, "dock-3": {}}
    chains = Chains.parse({"chain": [CARTONS], "cameras": own})
    named = {camera: [link.model for link in chains.for_camera(camera)] for camera in (*own, "dock-4")}
    assert named == {"dock-1": ["pallet@3"], "dock-2": [], "dock-3": ["wear@1"], "dock-4": ["wear@1"]}
    assert chains.models == {"wear@1", "pallet@3"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("wear@1", r"^policy.chain: a chain is a list"),
        ({"model": "wear@1"}, r"^policy.chain: a chain is a list"),
        (["wear@1"], r"^policy.chain\[0\]: write"),
        ([CARTONS, {"of": ["carton"]}], r"^policy.chain\[1\].model: .* NAME@VERSION"),
        ([{"model": "wear"}], r"^policy.chain\[0\].model: .* NAME@VERSION, not as 'wear'"),
        ([{"model": "wear@"}], r"^policy.chain\[0\].model"),
        ([{"model": "we ar@1"}], r"^policy.chain\[0\].model"),
        ([{"model": "wear@1@2"}], r"^policy.chain\[0\].model"),
        ([{"model": 7}], r"^policy.chain\[0\].model"),
        ([{"model": "wear@1", "of": "carton"}], r"^policy.chain\[0\].of: give a list"),
        ([{"model": "wear@1", "of": []}], r"^policy.chain\[0\].of: give a list"),
        ([{"model": "wear@1", "of": [1]}], r"^policy.chain\[0\].of: give a list"),
        ([{"model": "wear@1", "min_confidence": 1.5}], r"^policy.chain\[0\].min_confidence: .* 1.5"),
        ([{"model": "wear@1", "min_confidence": True}], r"^policy.chain\[0\].min_confidence"),
        ([{"model": "wear@1", "min_confidence": "0.5"}], r"^policy.chain\[0\].min_confidence"),
        ([{"model": "wear@1", "on": ["carton"]}], r"^policy.chain\[0\]: on is unknown"),
        ([CARTONS, {"model": "wear@1"}], r"^policy.chain\[1\].model: wear@1 is in this chain already"),
        ([{"model": f"m@{n}"} for n in range(MAX_LINKS + 1)], r"^policy.chain: .* at most 4 models, not 5"),
    ],
)
def test_a_wrong_chain_is_refused_with_the_entry_named(raw: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Chains.parse({"chain": raw})


def test_a_wrong_chain_of_a_camera_names_the_camera() -> None:
    with pytest.raises(ConfigurationError, match=r"^cameras.dock-9.chain\[0\].model"):
        Chains.parse({"cameras": {"dock-9": {"chain": [{}]}}})


@pytest.mark.parametrize("cameras", [None, [], {"dock-9": None}])
def test_cameras_that_are_none_are_refused(cameras: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^cameras: "):
        Chains.parse({"cameras": cameras})


@pytest.mark.parametrize("state", [ModelState.APPROVED, ModelState.DEPLOYED, ModelState.RETIRED])
def test_a_model_that_somebody_approved_may_be_in_a_chain(state: ModelState) -> None:
    check_link("wear@1", state)


@pytest.mark.parametrize(
    ("state", "remedy"),
    [(ModelState.REGISTERED, "models check wear@1"), (ModelState.VALIDATED, "models approve wear@1")],
)
def test_a_model_that_nobody_approved_is_kept_out_of_chains_with_the_remedy(state: ModelState, remedy: str) -> None:
    with pytest.raises(ModelRefused, match=remedy):
        check_link("wear@1", state)
