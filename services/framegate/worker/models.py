"""What the stages know of the models that serve: the deployment, and the models' files on this host."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from framegate.kernel.errors import ConfigurationError, ModelRefused, Transient
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import ModelKey, ModelState, Rollout
from framegate.observability.logs import get_log
from framegate.ports.blobs import Blobs
from framegate.ports.clock import Clock
from framegate.ports.registry import Deployment, NewModel, RegisteredModel, Registry

#: How long a new deployment may go unnoticed, seconds.
FRESH_S: Final = 2.0


class ModelFiles:
    """Manifests from the registry, weights from the blob store, kept on this host by sha256. Safe for several threads."""

    def __init__(self, registry: Registry, blobs: Blobs, cache: Path) -> None:
        """`cache` is made when it is missing, for this user alone: weights are as good as code."""
        self._registry, self._blobs, self._cache = registry, blobs, cache
        self._known: dict[ModelKey, ModelManifest] = {}
        self._lock = threading.Lock()

    def manifest(self, key: ModelKey) -> ModelManifest:
        """Its weights need not be on this host. Raises `ModelRefused` or `DependencyUnavailable`."""
        with self._lock:
            if key not in self._known:
                model = self._registered(key)
                weights = self._cache / Path(model.blob_key).name
                self._known[key] = ModelManifest.parse(model.manifest, key.ref, weights=weights)
            return self._known[key]

    def with_weights(self, key: ModelKey) -> ModelManifest:
        """Brings the weights when they are not here or damaged. Raises what `manifest` does, and `BlobMissing`."""
        manifest = self.manifest(key)
        with self._lock:
            if not _has_sha256(manifest.weights, key.sha256):
                self._bring(self._registered(key), manifest.weights)
            return manifest

    def _registered(self, key: ModelKey) -> RegisteredModel:
        model = self._registry.model(key.ref)
        if model is None or model.sha256 != key.sha256:
            raise ModelRefused(f"{key.ref} with the weights {key.sha256[:12]} is not registered: deploy what is")
        return model

    def _bring(self, model: RegisteredModel, weights: Path) -> None:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = weights.with_name(f"{weights.name}.{os.getpid()}")
        draft.write_bytes(self._blobs.get(model.blob_key))
        if not _has_sha256(draft, model.sha256):
            draft.unlink()
            raise ModelRefused(f"the stored weights of {model.ref} are damaged: import the model as a new version")
        draft.replace(weights)


class Rollouts:
    """The deployment that serves, a moment old at most; the last known one while the database does not answer."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._asked = float("-inf")
        self._last: Deployment | None = None

    def current(self) -> Rollout:
        """Raises `ConfigurationError` when nothing was ever deployed, `DependencyUnavailable` when nobody knows."""
        if self._clock.monotonic() - self._asked > FRESH_S:
            try:
                self._last = self._registry.active() or self._last
            except Transient:
                if self._last is None:
                    raise
            self._asked = self._clock.monotonic()
        if self._last is None:
            raise ConfigurationError("no model is deployed: framegate models deploy NAME@VERSION")
        return self._last.rollout


def register(registry: Registry, blobs: Blobs, manifest: ModelManifest, actor: str) -> RegisteredModel:
    """Stores the weights, then records the model: what is in the registry is always whole. Raises `ModelRefused`."""
    data = manifest.weights.read_bytes()
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise ModelRefused(f"{manifest.weights} changed while it was imported: try again")
    blob_key = f"models/{manifest.sha256}{manifest.weights.suffix}"
    blobs.put(blob_key, data)
    new = NewModel(manifest.name, manifest.version, manifest.sha256, len(data), blob_key, manifest.text)
    return registry.register(new, actor)


def serve_now(registry: Registry, model: RegisteredModel, actor: str) -> Deployment | None:
    """An operator started a box with this model: that is recorded as their approval. None when it serves already."""
    if _serves(registry, model):
        return None
    why = {"because": "an operator serves it directly"}
    for state in (ModelState.VALIDATED, ModelState.APPROVED):
        if model.state in (ModelState.REGISTERED, ModelState.VALIDATED):
            model = _advance(registry, model, state, actor, why)
    if _serves(registry, model):
        return None
    get_log().info("model deployed", action="model_deployed", model=model.ref, actor=actor)
    return registry.order(Rollout(model.key), actor, "served directly")


def _serves(registry: Registry, model: RegisteredModel) -> bool:
    active = registry.active()
    return active is not None and active.rollout.incumbent == model.key


def _advance(
    registry: Registry, model: RegisteredModel, to: ModelState, actor: str, why: dict[str, str]
) -> RegisteredModel:
    """Every process of a new deployment does the same when it starts: where another one was faster, its step counts."""
    try:
        return registry.advance(model.ref, to, actor, why)
    except ModelRefused:
        now = registry.model(model.ref)
        if now is None or now.state is model.state:
            raise
        return now


def _has_sha256(file: Path, sha256: str) -> bool:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
