"""What it takes to start a box: `python -m tests.benchmarks.start [--rounds N]`, prints JSON.

A new box each time, with ONNX Runtime. `ready_s`: from `framegate up` until /readyz answers 200. `cpu_s`: processor time of its
processes three seconds after that, but for those that have ended by then. `memory_mib`: of all but Postgres, what they
share counted once (PSS). `gate_back_s`: from `kill -9` of the gate until another one is ready.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from tests.support.box import RunningBox, until

_SETTLED_S = 3


def measure(data: Path) -> dict[str, float]:
    """One start; the box is stopped afterwards."""
    box = RunningBox(data, FRAMEGATE_INFERENCE__MAX_BATCH="4")
    began = time.monotonic()
    box.start(wait=False)
    try:
        until(box.is_ready)
        ready_s = time.monotonic() - began
        time.sleep(_SETTLED_S)
        assert box.process is not None
        up = psutil.Process(box.process.pid)
        ours, postgres = [up, *up.children(recursive=True)], box.processes()["postgres"]
        cpu_s = sum(sum(one.cpu_times()[:2]) for one in [*ours, postgres, *postgres.children()])
        memory = sum(one.memory_full_info().pss for one in ours)
        return {"ready_s": ready_s, "cpu_s": cpu_s, "memory_mib": memory / 2**20, "gate_back_s": _gate_back_s(box)}
    finally:
        box.stop()


def _gate_back_s(box: RunningBox) -> float:
    def ready() -> int:
        lines = box.log.read_text("utf-8").splitlines()
        return sum('"action": "ready"' in line and "box/gate" in line for line in lines)

    before, began = ready(), time.monotonic()
    box.kill("gate")
    until(lambda: ready() > before)
    return time.monotonic() - began


def main() -> None:
    """The medians, and each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    rounds = []
    for _ in range(parser.parse_args().rounds):
        with tempfile.TemporaryDirectory() as directory:
            rounds.append({name: round(value, 2) for name, value in measure(Path(directory, "data")).items()})
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    print(json.dumps({"median": medians, "rounds": rounds}, indent=2))


if __name__ == "__main__":
    main()
