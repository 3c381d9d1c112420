"""The classifiers that the policies' chains name: their engines, loaded beside what serves."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from framegate.inference.fleet import LoadedModel
from framegate.kernel.chain import Chains, Link
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import FacilityId
from framegate.kernel.inspection import ImageFacts
from framegate.kernel.rollout import ModelKey, check_link
from framegate.observability.catalogue import MODEL_LOAD_FAILURES
from framegate.observability.logs import Log
from framegate.observability.metrics import Metrics
from framegate.ports.clock import Clock
from framegate.ports.registry import Registry, unknown
from framegate.ports.store import Policies, PolicyVersion

_TRY_AGAIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Chained:
    """What one batch must see together: the chains of every facility, and the models of them that are ready."""

    chains: Mapping[FacilityId, Chains] = field(default_factory=dict)
    models: Mapping[str, LoadedModel] = field(default_factory=dict)  #: by name@version

    def links(self, image: ImageFacts) -> tuple[Link, ...]:
        """The chain of the image's camera."""
        chains = self.chains.get(image.facility)
        return chains.for_camera(image.camera) if chains else ()


class ChainModels:
    """`refresh` belongs to whoever watches deployments, everything else to the thread that infers."""

    def __init__(
        self,
        policies: Policies,
        registry: Registry,
        load_model: Callable[[ModelKey], LoadedModel],
        clock: Clock,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._policies, self._registry, self._load_model = policies, registry, load_model
        self._clock, self._metrics, self._log = clock, metrics, log
        self._parsed: dict[FacilityId, tuple[int, Chains]] = {}
        self._not_before: dict[str, float] = {}
        self._now = Chained()
        self._leaving: deque[LoadedModel] = deque()

    @property
    def now(self) -> Chained:
        """What holds; take it anew for each batch."""
        return self._now

    def refresh(self) -> None:
        """Follows the policies. A model that cannot be loaded is tried again later. Raises `DependencyUnavailable`."""
        chains = {policy.facility: self._chains(policy) for policy in self._policies.current_policies()}
        before, models = self._now.models, dict[str, LoadedModel]()
        for ref in sorted({ref for one in chains.values() for ref in one.models}):
            model = before.get(ref) or self._load(ref)
            if model is not None:
                models[ref] = model
        # In this order: an engine is closed by the thread that infers, which takes `now` after that.
        self._now = Chained(chains, models)
        self._leaving.extend(model for ref, model in before.items() if ref not in models)

    def _chains(self, policy: PolicyVersion) -> Chains:
        version, chains = self._parsed.get(policy.facility, (0, Chains()))
        if version != policy.version:
            try:
                chains = Chains.parse(policy.document)
            except ConfigurationError as error:
                # The gate refuses the same document: nothing is decided by it.
                facility, number = policy.facility, policy.version
                self._log.error("no chain", action="chain_refused", facility=facility, policy=number, error=str(error))
                chains = Chains()
            self._parsed[policy.facility] = policy.version, chains
        return chains

    def _load(self, ref: str) -> LoadedModel | None:
        if self._clock.monotonic() < self._not_before.get(ref, 0.0):
            return None
        try:
            registered = self._registry.model(ref)
            if registered is None:
                raise unknown(ref)
            check_link(ref, registered.state)
            model = self._load_model(registered.key)
        except Exception as error:
            # Images are inspected without it, and go to people.
            self._not_before[ref] = self._clock.monotonic() + _TRY_AGAIN_S
            self._metrics.count(MODEL_LOAD_FAILURES)
            self._log.error("cannot load a chain's model", action="chain_load_failed", model=ref, error=str(error))
            return None
        self._log.info("chain's model ready", action="chain_loaded", model=ref, engine=model.engine.description)
        return model

    def tidy(self) -> None:
        """Closes the engines that no chain names any more. Between batches: none of them is in use then."""
        while self._leaving:
            self._leaving.popleft().engine.close()

    def close(self) -> None:
        """Frees the device."""
        self.tidy()
        for model in self._now.models.values():
            model.engine.close()
        self._now = Chained()
