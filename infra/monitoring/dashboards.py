"""Writes the dashboards as Grafana loads them.

python -m infra.monitoring.dashboards            # writes them
python -m infra.monitoring.dashboards --check    # fails when the files are others
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Final

from infra.monitoring.boards import cameras, inference, models, people, pipeline

FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"
#: How a variable is named in an expression or an address.
VARIABLE: Final = re.compile(r"\$\{?([a-z_]\w*)")
DASHBOARDS: Final = (
    pipeline.DASHBOARD,
    inference.DASHBOARD,
    cameras.DASHBOARD,
    models.DASHBOARD,
    people.DASHBOARD,
)


def files() -> dict[Path, str]:
    """What each file of the folder must hold."""
    return {FOLDER / f"{dashboard.uid}.json": json.dumps(dashboard.json(), indent=2) + "\n" for dashboard in DASHBOARDS}


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wanted = files()
    present = {path: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    if check:
        wrong = sorted(path.name for path in wanted.keys() | present if wanted.get(path) != present.get(path))
        if wrong:
            print(f"not as generated: {', '.join(wrong)}: python -m infra.monitoring.dashboards", file=sys.stderr)
        return 1 if wrong else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in present.keys() - wanted:
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
