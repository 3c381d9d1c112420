"""Registered models on a host: loaded by sha256 only, and still known while the database is away."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from framegate.adapters.memory import FakeClock, MemoryBlobs, MemoryStore
from framegate.kernel.errors import BlobMissing, ConfigurationError, DependencyUnavailable, ModelRefused
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.ports.registry import DeploymentState, RegisteredModel, Registry
from framegate.worker.models import FRESH_S, ModelFiles, Rollouts, register, serve_now
from tests.contracts.examples import approved

WEIGHTS = b"weights"
TEXT = f"""
schema = 1
name = "carton"
version = "7"
licence = "MIT"
file = "model.onnx"
sha256 = "{hashlib.sha256(WEIGHTS).hexdigest()}"
[model]
head = "end2end"
classes = ["hole"]
[input]
width = 64
height = 64
dynamic_batch = true
dynamic_size = false
"""


class Shop:
    """A registry with one model in it, and the cache of one host."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.registry = MemoryStore(self.clock).registry
        self.blobs = MemoryBlobs(self.clock)
        (directory / "model.onnx").write_bytes(WEIGHTS)
        (directory / "model.toml").write_text(TEXT)
        self.manifest = ModelManifest.load(directory)
        self.model = register(self.registry, self.blobs, self.manifest, "lead")
        self.cache = directory / "cache"

    def files(self) -> ModelFiles:
        return ModelFiles(self.registry, self.blobs, self.cache)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_registering_stores_the_weights_by_their_sha256_and_keeps_the_manifest(shop: Shop) -> None:
    assert shop.model.ref == "carton@7"
    assert shop.model.manifest == TEXT
    assert shop.blobs.get(shop.model.blob_key) == WEIGHTS
    assert shop.model.sha256 in shop.model.blob_key


def test_weights_that_change_while_they_are_imported_are_not_registered(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"others")
    with pytest.raises(ModelRefused, match="changed while"):
        register(shop.registry, shop.blobs, shop.manifest, "lead")


def test_the_weights_are_brought_once_and_for_this_user_only(shop: Shop) -> None:
    manifest = shop.files().with_weights(shop.model.key)
    assert manifest.weights.read_bytes() == WEIGHTS
    assert shop.cache.stat().st_mode & 0o777 == 0o700
    shop.blobs.delete(shop.model.blob_key)
    assert shop.files().with_weights(shop.model.key).weights.read_bytes() == WEIGHTS


def test_damaged_weights_in_the_cache_are_brought_again(shop: Shop) -> None:
    files = shop.files()
    files.with_weights(shop.model.key).weights.write_bytes(b"bit rot")
    assert files.with_weights(shop.model.key).weights.read_bytes() == WEIGHTS


def test_damaged_weights_in_the_store_never_reach_the_cache(shop: Shop) -> None:
    shop.blobs.delete(shop.model.blob_key)
    shop.blobs.put(shop.model.blob_key, b"bit rot", durable=False)
    with pytest.raises(ModelRefused, match="damaged"):
        shop.files().with_weights(shop.model.key)
    assert list(shop.cache.iterdir()) == []


def test_a_stage_that_only_asks_for_the_input_needs_no_weights(shop: Shop) -> None:
    shop.blobs.delete(shop.model.blob_key)
    assert shop.files().manifest(shop.model.key).input.width == 64
    assert not shop.cache.exists()
    with pytest.raises(BlobMissing):
        shop.files().with_weights(shop.model.key)


def test_a_key_with_other_weights_than_the_registered_ones_is_refused(shop: Shop) -> None:
    with pytest.raises(ModelRefused, match="is not registered"):
        shop.files().manifest(ModelKey("carton@7", "00" * 32))


def test_serving_directly_is_recorded_as_an_approval(shop: Shop) -> None:
    deployment = serve_now(shop.registry, shop.model, "operator")
    assert deployment is not None
    assert deployment.state is DeploymentState.ACTIVE
    actions = [event.action for event in shop.registry.events("carton@7")]
    assert actions[:3] == ["model.registered", "model.validated", "model.approved"]
    assert shop.registry.model("carton@7").state is ModelState.DEPLOYED  # type: ignore[union-attr]


def test_serving_again_what_serves_changes_nothing(shop: Shop) -> None:
    serve_now(shop.registry, shop.model, "operator")
    assert serve_now(shop.registry, shop.model, "operator") is None
    assert len(shop.registry.deployments()) == 1


class Slow:
    """The registry as a process sees it that is overtaken by `others` before its next step."""

    def __init__(self, registry: Registry, others: list[Callable[[], object]]) -> None:
        self._registry, self._others = registry, others

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def advance(self, *arguments: Any) -> RegisteredModel:
        if self._others:
            self._others.pop(0)()
        return self._registry.advance(*arguments)


def overtaken(shop: Shop, *others: Callable[[], object]) -> Registry:
    return cast(Registry, Slow(shop.registry, list(others)))


def test_a_process_that_another_overtakes_at_their_first_start_serves_what_that_one_serves(shop: Shop) -> None:
    slow = overtaken(shop, lambda: serve_now(shop.registry, shop.model, "operator"))
    assert serve_now(slow, shop.model, "operator") is None
    assert len(shop.registry.deployments()) == 1
    approvals = [event for event in shop.registry.events("carton@7") if event.action == "model.approved"]
    assert len(approvals) == 1


@pytest.mark.parametrize("step", [ModelState.VALIDATED, ModelState.APPROVED])
def test_a_process_that_another_overtakes_by_one_step_goes_on_from_there(shop: Shop, step: ModelState) -> None:
    def other() -> None:
        for state in (ModelState.VALIDATED, ModelState.APPROVED)[: 1 + (step is ModelState.APPROVED)]:
            shop.registry.advance("carton@7", state, "other", {})

    deployment = serve_now(overtaken(shop, other), shop.model, "operator")
    assert deployment is not None
    assert deployment.state is DeploymentState.ACTIVE


def test_a_step_that_nobody_else_took_is_still_refused(shop: Shop) -> None:
    ghost = replace(shop.model, ref="ghost@1")
    with pytest.raises(ModelRefused, match="ghost@1"):
        serve_now(shop.registry, ghost, "operator")


def test_a_retired_model_is_served_again_without_a_new_approval(shop: Shop) -> None:
    serve_now(shop.registry, shop.model, "operator")
    other = approved(shop.registry, ModelKey("other@1", "ef" * 32))
    shop.registry.order(Rollout(other), "lead")
    retired = shop.registry.model("carton@7")
    assert retired is not None
    assert retired.state is ModelState.RETIRED
    assert serve_now(shop.registry, retired, "operator") is not None
    approvals = [event for event in shop.registry.events("carton@7") if event.action == "model.approved"]
    assert len(approvals) == 1


class Flaky:
    """A registry that may be away."""

    def __init__(self, shop: Shop) -> None:
        self._registry, self.away, self.asked = shop.registry, False, 0

    def active(self) -> object:
        self.asked += 1
        if self.away:
            raise DependencyUnavailable
        return self._registry.active()


def test_the_rollout_is_asked_for_every_two_seconds_and_the_last_one_is_kept(shop: Shop) -> None:
    registry = Flaky(shop)
    rollouts = Rollouts(registry, shop.clock)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no model is deployed"):
        rollouts.current()
    serve_now(shop.registry, shop.model, "operator")
    shop.clock.advance(FRESH_S + 0.1)
    assert rollouts.current() == Rollout(shop.model.key)
    asked = registry.asked
    rollouts.current()
    assert registry.asked == asked
    registry.away = True
    shop.clock.advance(60)
    assert rollouts.current() == Rollout(shop.model.key)


def test_without_a_database_nobody_guesses_what_serves(shop: Shop) -> None:
    registry = Flaky(shop)
    registry.away = True
    with pytest.raises(DependencyUnavailable):
        Rollouts(registry, shop.clock).current()  # type: ignore[arg-type]
