"""Orders of deployments, as people give them, and waiting for what becomes of them."""

import time
from collections.abc import Callable
from typing import Final

from framegate.bootstrap import Deployer, Stores, open_blobs
from framegate.kernel.errors import ModelRefused
from framegate.kernel.rollout import Rollout
from framegate.ports.registry import Deployment, DeploymentState, Registry
from framegate.settings import Settings
from framegate.worker.deploying import POLL_S

#: How long an active deployment is waited for to decide everywhere; seconds. A worker looks every two.
_SWAP_S: Final = 30.0


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
    deployer = Deployer(settings, stores, open_blobs(settings))
    deployment = deployer.order(rollout, actor, detail)
    if deployment.state is DeploymentState.PENDING:
        say(
            f"deployment {deployment.number}: the inference workers are loading {rollout.models[-1].ref} beside what serves"
        )
    deployment = _settled(stores.registry, deployment, wait_s)
    if deployment.state is DeploymentState.PENDING:
        raise ModelRefused(
            f"deployment {deployment.number} is still pending after {wait_s:.0f} s; the old model serves. "
            "'framegate models list' shows when that changes, an inference worker's log shows what it is doing"
        )
    if deployment.state is DeploymentState.FAILED:
        raise ModelRefused(f"a worker could not load it, the old model serves on: {deployment.detail}")
    _await_swap(stores.registry, deployment.number, say)
    deployer.conclude(deployment)
    return deployment


def _settled(registry: Registry, deployment: Deployment, wait_s: float) -> Deployment:
    """What became of it; still pending when the workers took longer than `wait_s`."""
    deadline = time.monotonic() + wait_s
    while deployment.state is DeploymentState.PENDING and time.monotonic() < deadline:
        time.sleep(POLL_S)
        deployment = registry.settle(deployment.number)
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
        time.sleep(POLL_S)
