"""Orders of deployments: what people mean, checked before any worker hears of it."""

from typing import Final

from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.manifest import ModelInput
from framegate.kernel.rollout import Rollout
from framegate.ports.registry import Deployment, Registry, unknown
from framegate.worker.models import ModelFiles

POLL_S: Final = 0.25  #: until it is asked again what became of an order


def parse_share(text: str) -> float:
    """`5%` or `0.05` -> 0.05; raises `ConfigurationError`."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"a canary's share is written as 5% or 0.05, up to 100%, not as {text!r}")
    return share


def planned(registry: Registry, ref: str, *, canary: float | None, shadow: bool) -> Rollout:
    """The rollout that a model means: alone, as a canary of so large a share, or as a shadow. Raises `ModelRefused`."""
    model = registry.model(ref)
    if model is None:
        raise unknown(ref)
    key = model.key
    if canary is not None and shadow:
        raise ModelRefused("a model is a canary or a shadow, not both")
    if canary is None and not shadow:
        return Rollout(key)
    active = registry.active()
    if active is None:
        raise ModelRefused(f"nothing serves that {ref} could be compared with: deploy it by itself first")
    now = active.rollout
    if canary is not None:
        return Rollout(now.incumbent, key, canary, now.shadow if now.shadow != key else None)
    kept = now.canary if now.canary != key else None
    return Rollout(now.incumbent, kept, now.canary_share if kept else 0.0, key)


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


def order_checked(files: ModelFiles, registry: Registry, rollout: Rollout, actor: str, detail: str) -> Deployment:
    """Orders it. Raises `ModelRefused`: what is damaged or does not fit fails here and not in a worker."""
    manifests = {key: files.with_weights(key) for key in rollout.models}
    if rollout.shadow is not None:
        _check_same_input(manifests[rollout.incumbent].input, manifests[rollout.shadow].input, rollout.shadow.ref)
    return registry.order(rollout, actor, detail)


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
