"""Whatever happens in whatever order: no image is lost, none ends twice, none goes back."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from framegate.adapters.memory import FakeClock, MemoryQueue, MemoryStore
from framegate.kernel.geometry import Region
from framegate.kernel.ids import ImageId
from framegate.kernel.inspection import Failed, Inspected, Outcome, Refused
from framegate.kernel.messages import decode
from framegate.kernel.states import TERMINAL, ImageState, Lane, Stage, Verdict
from framegate.pipeline import ALL_QUEUES, NEXT_MESSAGE, queues_of
from framegate.ports.progress import Claim, Completion, Denied, Ending, LookAgain, PrepareAgain, Result
from framegate.ports.queue import Delivery
from tests.contracts.examples import FACILITY, inspected, new_image, outcome, prepared, serve

LEASE = timedelta(seconds=60)
ORDER = [ImageState.RECEIVED, ImageState.PREPARED, ImageState.INSPECTED]
STAGE_OF = {queue: stage for stage in (Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE) for queue in queues_of(stage)}
RESULTS: dict[Stage, list[Result]] = {
    Stage.PREPROCESS: [prepared(), prepared(), Refused("truncated", "Short."), Failed("exhausted", "Over.")],
    Stage.INFERENCE: [inspected("box"), inspected(), Failed("engine-output", "NaN."), PrepareAgain("gone")],
    Stage.GATE: [
        outcome(Verdict.PASS),
        outcome(Verdict.REVIEW),
        Outcome(ImageState.FAILED, None, "x", "X.", 1),
        LookAgain(Region(0, 0, 32, 24)),
    ],
}
picks = st.integers(0, 1000)


@dataclass(frozen=True)
class Work:
    """A claimed message in the hands of a worker."""

    delivery: Delivery
    claim: Claim


class Pipeline(RuleBasedStateMachine):
    """Workers, crashes, operators and time, in any order. Dead workers may come back as ghosts."""

    @initialize()
    def start(self) -> None:
        self.clock = FakeClock()
        self.queue = MemoryQueue(self.clock, "worker", max_receives=20)
        self.store = MemoryStore(self.clock, self.queue)
        self.store.policies.add_policy(FACILITY, {}, "test")
        serve(self.store.registry)
        self.accepted: list[ImageId] = []
        self.working: list[Work] = []
        self.ghosts: list[Work] = []
        self.bodies: list[tuple[str, str]] = []
        self.moved: defaultdict[tuple[ImageId, int, Stage], set[UUID]] = defaultdict(set)
        self.furthest: dict[ImageId, tuple[int, int]] = {}
        self.ended: dict[ImageId, tuple[ImageState, Verdict | None, str | None]] = {}

    # --- what happens ---

    @rule(lanes=st.lists(st.sampled_from(list(Lane)), min_size=1, max_size=3), known=st.booleans())
    def accept(self, lanes: list[Lane], known: bool) -> None:
        images = [new_image(b"the same picture" if known else None, lane=lane) for lane in lanes]
        answers = self.store.intake.accept(images)
        assert not any(answer.replayed for answer in answers)
        self.accepted += [answer.image_id for answer in answers]

    @rule(stage=st.sampled_from([Stage.PREPROCESS, Stage.INFERENCE, Stage.GATE]), limit=st.integers(1, 5))
    def receive_and_claim(self, stage: Stage, limit: int) -> None:
        for delivery in self.queue.receive(queues_of(stage), limit, timedelta(), LEASE):
            self.bodies.append((delivery.queue, delivery.body))
            self._claim(delivery)

    def _claim(self, delivery: Delivery) -> None:
        (answer,) = self.store.progress.claim(STAGE_OF[delivery.queue], [decode(delivery.body)], "worker", LEASE)
        match answer:
            case Claim():
                self.working.append(Work(delivery, answer))
            case Denied.STALE:
                self.queue.acknowledge([delivery])
            case Denied.BUSY:
                self.queue.release([delivery], timedelta(seconds=5))
            case Denied.UNKNOWN:
                raise AssertionError("an accepted image is unknown")

    @precondition(lambda self: self.working)
    @rule(kinds=st.lists(picks, min_size=1, max_size=5), acknowledge=st.booleans(), twice=st.booleans())
    def complete(self, kinds: list[int], acknowledge: bool, twice: bool) -> None:
        for work, kind in zip(self.working, kinds, strict=False):
            result = RESULTS[work.claim.stage][kind % len(RESULTS[work.claim.stage])]
            kept = self._complete(work, result)
            if twice:
                assert self._complete(work, result) is kept, "the same completion had two answers"
            if kept and acknowledge:
                self.queue.acknowledge([work.delivery])
        del self.working[: len(kinds)]

    def _complete(self, work: Work, result: Result) -> bool:
        if isinstance(result, LookAgain) and (work.claim.first or not isinstance(work.claim.finding, Inspected)):
            result = outcome(Verdict.REVIEW)  # the gate asks once, and only about what was inspected
        (kept,) = self.store.progress.complete([Completion(work.claim, result)])
        if kept:
            step = (work.claim.image.image_id, work.claim.message.look, work.claim.stage)
            self.moved[step].add(work.claim.token)
        return kept

    @precondition(lambda self: self.working)
    @rule(pick=picks, ending=st.sampled_from(list(Ending)))
    def give_back(self, pick: int, ending: Ending) -> None:
        work = self.working.pop(pick % len(self.working))
        self.store.progress.give_back([work.claim], ending, "for the test")
        self.queue.release([work.delivery])

    @precondition(lambda self: self.working)
    @rule(restarted=st.booleans())
    def crash(self, restarted: bool) -> None:
        """A worker that is restarted frees what it held; otherwise the leases run out."""
        self.ghosts += self.working
        self.working.clear()
        if restarted:
            self.store.progress.recover("worker")
            self.queue.recover("worker")
        else:
            self.clock.advance(61)

    @precondition(lambda self: self.ghosts)
    @rule(pick=picks, kind=picks)
    def ghost_completes(self, pick: int, kind: int) -> None:
        ghost = self.ghosts.pop(pick % len(self.ghosts))
        self._complete(ghost, RESULTS[ghost.claim.stage][kind % len(RESULTS[ghost.claim.stage])])
        self.queue.acknowledge([ghost.delivery])

    @precondition(lambda self: self.bodies)
    @rule(pick=picks)
    def an_old_message_comes_again(self, pick: int) -> None:
        queue, body = self.bodies[pick % len(self.bodies)]
        self.queue.send(queue, [body])

    @rule(queue=st.sampled_from(ALL_QUEUES), trouble=st.sampled_from(["purge", "dead letter", "redrive", "reissue"]))
    def trouble(self, queue: str, trouble: str) -> None:
        if trouble == "purge":
            self.queue.purge(queue)
        elif trouble == "dead letter":
            for delivery in self.queue.receive([queue], 1, timedelta(), LEASE):
                self.queue.dead_letter(delivery, "for the test")
        elif trouble == "redrive":
            self.queue.redrive()
        else:
            self.clock.advance(120)
            self.store.upkeep.reissue_overdue(dict.fromkeys(NEXT_MESSAGE, LEASE), 10)

    # --- what must hold ---

    @invariant()
    def every_accepted_image_is_somewhere(self) -> None:
        sums = self.store.upkeep.conservation()
        assert sums.accepted == len(self.accepted)
        assert sums.lost == 0

    @invariant()
    def all_invariants_hold(self) -> None:
        assert [check for check in self.store.upkeep.check_invariants() if check.violations] == []

    @invariant()
    def each_step_was_made_by_one_claim(self) -> None:
        assert all(len(tokens) == 1 for tokens in self.moved.values()), "two claims completed the same step"

    @invariant()
    def nothing_goes_back_and_nothing_ends_twice(self) -> None:
        for image in self.accepted:
            record = self.store.results.image(frozenset({FACILITY}), image)
            assert record is not None
            place = (record.look, 3 if record.state in TERMINAL else ORDER.index(record.state))
            assert place >= self.furthest.get(image, (1, 0)), "an image went back"
            self.furthest[image] = place
            if record.state in TERMINAL:
                end = (record.state, record.verdict, record.reason)
                assert self.ended.setdefault(image, end) == end, "an outcome was replaced"
        outcomes = self.store.results.outcomes_after(frozenset({FACILITY}), 0, 10_000)
        ids = [record.facts.image_id for _, record in outcomes]
        assert len(ids) == len(set(ids)) == len(self.ended)

    # --- and in the end ---

    def teardown(self) -> None:
        """Everybody is dead and every queue is empty: with the sweeper and one worker, every image still ends."""
        for queue in ALL_QUEUES:
            self.queue.purge(queue)
        for _ in range(100):
            if self.store.upkeep.conservation().in_flight == 0:
                break
            self.clock.advance(60 * 60 * 2)
            self.store.upkeep.reissue_overdue(dict.fromkeys(NEXT_MESSAGE, LEASE), 1000)
            self._work_all()
        sums = self.store.upkeep.conservation()
        assert (sums.in_flight, sums.lost) == (0, 0), "an image never ended"
        self.nothing_goes_back_and_nothing_ends_twice()

    def _work_all(self) -> None:
        for delivery in self.queue.receive(ALL_QUEUES, 100, timedelta(), LEASE):
            (claim,) = self.store.progress.claim(STAGE_OF[delivery.queue], [decode(delivery.body)], "last", LEASE)
            if isinstance(claim, Claim):
                assert self._complete(Work(delivery, claim), RESULTS[claim.stage][0])
            self.queue.acknowledge([delivery])


Pipeline.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestPipeline = Pipeline.TestCase
