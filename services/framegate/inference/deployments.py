"""Follows the deployments: loads what is new beside what serves, says so, and swaps when everybody is ready."""

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from framegate.inference.fleet import Fleet
from framegate.kernel.errors import FramegateError, Transient
from framegate.kernel.rollout import Rollout
from framegate.observability.catalogue import MODEL_INFO, MODEL_LOAD_FAILURES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.registry import Deployment, DeploymentState, Registry
from framegate.worker.models import FRESH_S

#: Nice value of the thread that loads: the images of now come before the model of tomorrow.
_NICE: Final = 10
_TRY_AGAIN_S: Final = 30.0
#: Between two looks while a deployment is pending; seconds. The worker that settles it swaps at once, the others at their
#: next look, and until then two models decide.
_PENDING_S: Final = 0.5


class DeploymentWatch:
    """A thread of its own, while it is open. `worker` is the name that this process reports itself under."""

    def __init__(
        self,
        registry: Registry,
        fleet: Fleet,
        worker: str,
        clock: Clock,
        metrics: Metrics,
        log: Log,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        """`beside` follows whatever else must be loaded, each time after the deployments."""
        self._registry, self._fleet, self._worker, self._beside = registry, fleet, worker, beside
        self._clock, self._metrics, self._log = clock, metrics, log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deployments", daemon=True)
        self._serving = 0
        self._told: list[dict[str, str]] = []
        self._reported = 0
        self._said_serving = 0
        self._pause_s = FRESH_S
        self._not_before = float("-inf")

    def start(self) -> None:
        """Loads what serves now, in the calling thread; raises what is wrong with it."""
        active = self._registry.active()
        if active is None:
            raise FramegateError("no model is deployed: framegate models deploy NAME@VERSION")
        self._fleet.load(active.rollout)
        self._serve(active)
        self._say_serving()
        self._beside()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(timeout=2)  # a load cannot be interrupted, and nobody waits for it any more

    def _run(self) -> None:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._clock.wait(self._stop, self._pause_s):
            try:
                self.look()
                self._beside()
            except Transient as error:
                self._log.debug("cannot follow deployments", action="deployment_watch_failed", error=str(error))
            except Exception:
                self._log.exception("cannot follow deployments", action="deployment_watch_failed")

    def look(self) -> None:
        """Once."""
        newest = self._registry.deployment()
        pending = newest is not None and newest.state is DeploymentState.PENDING
        self._pause_s = _PENDING_S if pending else FRESH_S
        if newest is not None and pending:
            if self._reported != newest.number:
                self._registry.report_load(newest.number, self._worker, self._problem(newest.rollout))
                self._reported = newest.number
            newest = self._registry.settle(newest.number)
        active = newest if newest and newest.state is DeploymentState.ACTIVE else self._registry.active()
        if active is not None and active.number != self._serving:
            self._swap(active)
        self._say_serving()

    def _say_serving(self) -> None:
        """Not together with the swap: what cannot be said now is said at the next look."""
        if self._said_serving != self._serving:
            self._registry.report_serving(self._serving, self._worker)
            self._said_serving = self._serving

    def _swap(self, active: Deployment) -> None:
        # Usually all of it is loaded already; not when it became active without this worker being counted in.
        if self._clock.monotonic() < self._not_before:
            return
        if self._problem(active.rollout):
            self._not_before = self._clock.monotonic() + _TRY_AGAIN_S
            return
        self._serve(active)
        self._log.info(
            "models swapped",
            action="models_swapped",
            deployment=active.number,
            models={role: key.ref for role, key in active.rollout.roles.items()},
        )

    def _serve(self, active: Deployment) -> None:
        self._fleet.serve(active.rollout)
        self._serving = active.number
        running = [
            {"model": one.key.ref, "engine": one.engine.description, "role": role} for role, one in self._fleet.roles
        ]
        for labels in running:
            self._metrics.set(MODEL_INFO, 1, **labels)
        for labels in self._told:
            if labels not in running:
                self._metrics.forget(MODEL_INFO, **labels)
        self._told = running

    def _problem(self, rollout: Rollout) -> str:
        try:
            self._fleet.load(rollout)
        except Transient:
            raise
        except Exception as error:
            # What serves goes on: it was not touched.
            self._metrics.count(MODEL_LOAD_FAILURES)
            self._log.exception(
                "cannot load a model", action="model_load_failed", models=[k.ref for k in rollout.models]
            )
            return str(error) or type(error).__name__
        return ""
