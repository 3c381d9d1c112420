"""Models: what a reference means, what a box adopts at its start, and what trains new ones."""

from contextlib import suppress
from pathlib import Path

from framegate.bootstrap.stores import Stores, open_blobs
from framegate.environment import keep_ultralytics_offline
from framegate.gate.policy import document_from_manifest
from framegate.kernel.errors import ConfigurationError, ModelRefused
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.rollout import Rollout
from framegate.ports.blobs import Blobs
from framegate.ports.registry import Deployment, DeploymentState, unknown
from framegate.ports.store import PolicyConflict
from framegate.ports.training import Trainer
from framegate.settings import Settings
from framegate.starter import starter_dir
from framegate.worker.deploying import order_checked
from framegate.worker.models import ModelFiles, register, serve_now


def load_manifest(ref: str) -> ModelManifest:
    """`starter`, or the path of a model.toml or of its directory; raises `ModelRefused`."""
    if ref == "starter":
        return ModelManifest.load(starter_dir())
    path = Path(ref).expanduser()
    if not path.exists():
        raise ModelRefused(
            f"there is no model at {path}: give the path of a model.toml, of its directory, 'starter', or NAME@VERSION "
            "of a registered model"
        )
    return ModelManifest.load(path)


def model_files(settings: Settings, stores: Stores, blobs: Blobs) -> ModelFiles:
    """Registered models as files of this host."""
    return ModelFiles(stores.registry, blobs, settings.model_cache or settings.data / "cache" / "models")


def is_registered(ref: str) -> bool:
    """Whether `ref` is written as `name@version` and is no path."""
    return "@" in ref and not Path(ref).expanduser().exists()


def resolve_model(settings: Settings, stores: Stores, blobs: Blobs, ref: str) -> ModelManifest:
    """Like `load_manifest`, and `name@version` of a registered model."""
    if is_registered(ref):
        model = stores.registry.model(ref)
        if model is None:
            raise unknown(ref)
        return model_files(settings, stores, blobs).with_weights(model.key)
    return load_manifest(ref)


def make_trainer() -> Trainer:
    """What trains; raises `ConfigurationError` where it is not installed."""
    keep_ultralytics_offline()
    try:
        from framegate.adapters.training_ultralytics import UltralyticsTrainer
    except ImportError as error:
        raise ConfigurationError(
            f"training needs what is not installed ({error}): pip install 'framegate[train]'"
        ) from error
    return UltralyticsTrainer()


def adopt_model(settings: Settings, stores: Stores, actor: str) -> None:
    """Registers and deploys the model that the settings name; without one, what serves stays, at first the starter."""
    if settings.model is None and stores.registry.active() is not None:
        return
    blobs, ref = open_blobs(settings), settings.model or "starter"
    model = stores.registry.model(ref) if is_registered(ref) else None
    if model is None:
        model = register(stores.registry, blobs, resolve_model(settings, stores, blobs, ref), actor)
    serve_now(stores.registry, model, actor)
    _follow_model(stores, model_files(settings, stores, blobs).manifest(model.key))


def _follow_model(stores: Stores, manifest: ModelManifest) -> None:
    """A policy that only came from another model's manifest follows the new one; what people wrote stays."""
    current = stores.policies.current_policy(DEFAULT_FACILITY)
    if current is None or current.created_by == "framegate":
        expected = current.version if current else 0
        with suppress(PolicyConflict):
            stores.policies.add_policy(DEFAULT_FACILITY, document_from_manifest(manifest), "framegate", expected)


class Deployer:
    """Orders deployments; whoever ordered one waits until it serves, and then concludes it. For several threads."""

    def __init__(self, settings: Settings, stores: Stores, blobs: Blobs) -> None:
        self._stores, self._files = stores, model_files(settings, stores, blobs)

    def order(self, rollout: Rollout, actor: str, detail: str) -> Deployment:
        """Raises `ModelRefused`, `BlobMissing` or `DependencyUnavailable`."""
        return order_checked(self._files, self._stores.registry, rollout, actor, detail)

    def conclude(self, deployment: Deployment) -> None:
        """Lets the policy follow that only came from the model before, if this one serves by now, and alone."""
        rollout = deployment.rollout
        if deployment.state is DeploymentState.ACTIVE and rollout == Rollout(rollout.incumbent):
            _follow_model(self._stores, self._files.manifest(rollout.incumbent))
