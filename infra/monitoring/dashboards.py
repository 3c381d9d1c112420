"""Writes the dashboards as Grafana loads them.

`python -m infra.monitoring.dashboards` writes infra/grafana/dashboards/*.json. With options:

--check            write nothing, fail when these are not current
--out DIR          write there
--runbook URL      with links to the runbook that can be clicked
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Final

from infra.monitoring.boards import cameras, inference, models, people, pipeline, slos
from infra.monitoring.layout import RUNBOOK

FOLDER: Final = Path(__file__).parents[1] / "grafana" / "dashboards"
#: How a variable is named in an expression or an address.
VARIABLE: Final = re.compile(r"\$\{?([a-z_]\w*)")
#: In the order in which people go through them.
DASHBOARDS: Final = (
    pipeline.DASHBOARD,
    inference.DASHBOARD,
    cameras.DASHBOARD,
    models.DASHBOARD,
    people.DASHBOARD,
    slos.DASHBOARD,
)


def files(runbook: str) -> dict[str, str]:
    """Name of each file, and what it must hold."""
    texts = {f"{dashboard.uid}.json": json.dumps(dashboard.json(), indent=2) + "\n" for dashboard in DASHBOARDS}
    return {name: text.replace(f'"{RUNBOOK}', f'"{runbook}') for name, text in texts.items()}


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m infra.monitoring.dashboards")
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a file is not current")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to")
    parser.add_argument("--runbook", default=RUNBOOK, help="address of docs/runbook.md")
    given = parser.parse_args(arguments)
    wanted = files(given.runbook)
    present = {path.name: path.read_text("utf-8") for path in given.out.glob("*.json")}
    if given.check:
        stale = sorted(name for name in wanted.keys() | present if wanted.get(name) != present.get(name))
        if stale:
            sys.stderr.write(f"not current: {', '.join(stale)}: python -m infra.monitoring.dashboards\n")
        return bool(stale)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in present.keys() - wanted:
        (given.out / name).unlink()
    for name, text in wanted.items():
        (given.out / name).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
