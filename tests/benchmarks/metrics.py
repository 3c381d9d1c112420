"""What one observation costs, in nanoseconds, beside prometheus_client's child itself and its `labels` at every call.

    python -m tests.benchmarks.metrics [--rounds 40] [--calls 20000]

The three are timed in turns, round by round, so that what else runs here disturbs all alike. `least` is the fastest round,
which says what the code costs; `median` is what it cost here and now.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Histogram

from framegate.observability.catalogue import DEAD_LETTERS, MESSAGES_RELAYED, STEP_SECONDS
from framegate.observability.metrics import Metrics

TRACE = "0af7651916cd43dd8448eb211c80319c"
Ways = dict[str, Callable[[], object]]


def cases() -> dict[str, Ways]:
    """By what is written: the bare child, ours, and `labels` at every call."""
    metrics = Metrics()
    steps = Histogram(STEP_SECONDS.name, "-", STEP_SECONDS.labels, buckets=STEP_SECONDS.buckets, registry=None)
    letters = Counter(DEAD_LETTERS.name, "-", DEAD_LETTERS.labels, registry=None)
    relayed = Counter(MESSAGES_RELAYED.name, "-", registry=None)
    step, letter = steps.labels("gate", "claim"), letters.labels("gate", "poison")
    return {
        "histogram, 2 labels": {
            "bare": lambda: step.observe(0.004),
            "ours": lambda: metrics.observe(STEP_SECONDS, 0.004, stage="gate", step="claim"),
            "labels": lambda: steps.labels(stage="gate", step="claim").observe(0.004),
        },
        "histogram, 2 labels, exemplar": {
            "bare": lambda: step.observe(0.004, {"trace_id": TRACE}),
            "ours": lambda: metrics.observe(STEP_SECONDS, 0.004, TRACE, stage="gate", step="claim"),
            "labels": lambda: steps.labels(stage="gate", step="claim").observe(0.004, {"trace_id": TRACE}),
        },
        "counter, 2 labels": {
            "bare": letter.inc,
            "ours": lambda: metrics.count(DEAD_LETTERS, stage="gate", cause="poison"),
            "labels": lambda: letters.labels(stage="gate", cause="poison").inc(),
        },
        "counter": {
            "bare": relayed.inc,
            "ours": lambda: metrics.count(MESSAGES_RELAYED),
        },
    }


def measure(ways: Ways, rounds: int, calls: int) -> dict[str, Sequence[float]]:
    """Nanoseconds of one call, for each round of each way."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, call in ways.items():
            started = time.perf_counter_ns()
            for _ in range(calls):
                call()
            found[name].append((time.perf_counter_ns() - started) / calls)
    return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=20_000)
    wanted = parser.parse_args()
    print(f"{'what':32} {'how':8} {'least ns':>9} {'median ns':>10}")
    for what, ways in cases().items():
        for name, times in measure(ways, wanted.rounds, wanted.calls).items():
            print(f"{what:32} {name:8} {min(times):9.0f} {statistics.median(times):10.0f}")


if __name__ == "__main__":
    main()
