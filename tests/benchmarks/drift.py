"""How often drift is told of where nothing changed: halls of three cameras, 20 days after what is usual was learnt.

    python -m tests.benchmarks.drift --halls 12

Simulated by `tests.support.drift`; about 20 s a hall. Prints JSON.
"""

import argparse
import json

from tests.support.drift import Dock, Hall

LEARNT_DAYS, DAYS, CAMERAS = 7.6, 20, 3


def false_alarms(seed: int) -> list[str]:
    """The measures of which one hall was told, although nothing changed."""
    hall = Hall([Dock(f"dock-{n}", seed * 10 + n) for n in range(CAMERAS)])
    changes = hall.lives(LEARNT_DAYS) + hall.lives(DAYS)
    return [finding.feature for change in changes for finding in change.began]


def main() -> None:
    """Hall by hall."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halls", type=int, default=12)
    halls = [false_alarms(seed) for seed in range(parser.parse_args().halls)]
    print(json.dumps({"days": DAYS, "cameras": CAMERAS, "alarms_in_each_hall": halls, "most": max(map(len, halls))}))


if __name__ == "__main__":
    main()
