"""Orders of deployments, as people give them, and waiting for what becomes of them."""

import time
from collections.abc import Callable
from typing import Final

from framegate.bootstrap import Stores, follow_model, model_files, open_blobs
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelInput
from framegate.kernel.rollout import ModelKey, Rollout
from framegate.ports.registry import Deployment, DeploymentState, Registry, unknown
from framegate.settings import Settings

_POLL_S: Final = 0.25
#: How long an active deployment is waited for to decide everywhere; seconds. A worker looks every two.
_SWAP_S: Final = 30.0


def parse_share(text: str) -> float:
    """`5%` or `0.05` -> 0.05; raises `ConfigurationError`."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"a canary's share is written as 5% or 0.05, up to 100%, not as {text!r}")
    return share


def planned(registry: Registry, ref: str, *, canary: str | None, shadow: bool) -> Rollout:
    """The rollout that `deploy REF [--canary SHARE | --shadow]` means. Raises `ModelRefused` or `ConfigurationError`."""
    key = key_of(registry, ref)
    if canary is not None and shadow:
        raise ConfigurationError("a model is a canary or a shadow: give --canary or --shadow")
    if canary is None and not shadow:
        return Rollout(key)
    active = registry.active()
    if active is None:
        raise ModelRefused(f"nothing serves that {ref} could be compared with: deploy it without --canary and --shadow")
    now = active.rollout
    if canary is not None:
        return Rollout(now.incumbent, key, parse_share(canary), now.shadow if now.shadow != key else None)
    kept = now.canary if now.canary != key else None
    return Rollout(now.incumbent, kept, now.canary_share if kept else 0.0, key)


def key_of(registry: Registry, ref: str) -> ModelKey:
    """Raises `ModelRefused`."""
    model = registry.model(ref)
    if model is None:
        raise unknown(ref)
    return model.key


def before(registry: Registry) -> Rollout:
    """What `rollback` goes back to: the incumbent without its canary and shadow, or the incumbent of before."""
    active = registry.active()
    if active is None:
        raise ModelRefused("nothing serves that could be rolled back")
    if active.rollout != Rollout(active.rollout.incumbent):
        return Rollout(active.rollout.incumbent)
    for past in registry.deployments(1000):
        served = past.number < active.number and past.activated_at is not None
        if served and past.rollout.incumbent != active.rollout.incumbent:
            return Rollout(past.rollout.incumbent)
    raise ModelRefused(f"{active.rollout.incumbent.ref} is the first model that served: there is none to go back to")


def order(
    settings: Settings,
    stores: Stores,
    rollout: Rollout,
    actor: str,
    detail: str,
    wait_s: float,
    say: Callable[[str], None],
) -> Deployment:
    """Orders it and waits until the workers have it. Raises `ModelRefused` when they cannot: the old model serves on."""
    files = model_files(settings, stores, open_blobs(settings))
    manifests = {
        key: files.with_weights(key) for key in rollout.models
    }  # what is damaged fails here and not in a worker
    if rollout.shadow is not None:
        _check_same_input(manifests[rollout.incumbent].input, manifests[rollout.shadow].input, rollout.shadow.ref)
    deployment = stores.registry.order(rollout, actor, detail)
    deadline = time.monotonic() + wait_s
    if deployment.state is DeploymentState.PENDING:
        say(
            f"deployment {deployment.number}: the inference workers are loading {rollout.models[-1].ref} beside what serves"
        )
    while deployment.state is DeploymentState.PENDING:
        if time.monotonic() > deadline:
            raise ModelRefused(
                f"deployment {deployment.number} is still pending after {wait_s:.0f} s; the old model serves. "
                "'framegate models list' shows when that changes, an inference worker's log shows what it is doing"
            )
        time.sleep(_POLL_S)
        deployment = stores.registry.settle(deployment.number)
    if deployment.state is DeploymentState.FAILED:
        raise ModelRefused(f"a worker could not load it, the old model serves on: {deployment.detail}")
    _await_swap(stores.registry, deployment.number, say)
    if rollout == Rollout(rollout.incumbent):
        follow_model(stores, manifests[rollout.incumbent])
    return deployment


def _await_swap(registry: Registry, number: int, say: Callable[[str], None]) -> None:
    """Until no worker decides with the old model any more: whoever orders a rollback relies on it from then on."""
    deadline = time.monotonic() + _SWAP_S
    while late := registry.awaited(number):
        if time.monotonic() > deadline:
            say(
                f"deployment {number} is active, but after {_SWAP_S:.0f} s the old model still decides in "
                f"{', '.join(sorted(late))}: that worker's log shows why"
            )
            return
        time.sleep(_POLL_S)


def _check_same_input(served: ModelInput, shadow: ModelInput, ref: str) -> None:
    """A shadow sees the frames that were prepared for the others."""
    for name in ("width", "height", "letterbox"):
        if getattr(served, name) != getattr(shadow, name):
            raise ModelRefused(
                f"{ref} cannot be a shadow: its input's {name} is {getattr(shadow, name)}, the incumbent's is "
                f"{getattr(served, name)}; deploy it as a canary instead"
            )
    if served.scaled_decoding and not shadow.scaled_decoding:
        raise ModelRefused(
            f"{ref} cannot be a shadow: its frames would be decoded at reduced scale, which it must not have"
        )
