"""How long the server takes for each page, with few and with many stored inspections.

    python -m tests.benchmarks.pages [--small 10000] [--large 1000000] [--hour 0] [--rounds 20] [--json FILE] [--strict]

The whole application in this process, with the login, the queries, the template and the answer; Postgres is a process of its
own, filled by `seed.py`. `core` is the processor time of both, which says more where others use the machine. Prints a table;
the goal is a p95 of at most 150 ms, and at most twice that of few. `--strict` exits with 1 where a page misses one.
"""

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from tests.benchmarks.reads import GOAL_MS, GOAL_RATIO, Figures, both, core_s, figures, middle, options, table
from tests.benchmarks.seed import FACILITIES

from framegate.bootstrap import Stores, open_stores
from framegate.bootstrap.api import make_api
from framegate.box.people import add_person
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import Role
from framegate.observability.metrics import Metrics
from framegate.observability.tracing import Tracing
from framegate.settings import Settings

_PASSWORD: Final = "nine crates of lemons"
_URL: Final = "http://127.0.0.1:8080"


def pages(image: str, item: str | None) -> dict[str, str]:
    """By name, what a browser asks for."""
    month = "since=2026-01-01T00%3A00Z"
    found = {
        "Now": "/",
        "Now, one facility": "/?facility=hall-1",
        "Now, fails": "/?verdict=fail",
        "Review": "/review",
        "Review, quality": "/review/quality",
        "Inspections": "/inspections",
        "Inspections, pictures": "/inspections?as=pictures",
        "Inspections, fails of a camera": "/inspections?camera=dock-05&verdict=fail",
        "Inspections, class and confidence": "/inspections?detected=dent&min_confidence=0.7",
        "Inspections, shipment of nobody": f"/inspections?shipment=SHP-none&{month}",
        "Inspection": f"/inspections/{image}",
        "Incidents": "/incidents",
        "Cameras": "/cameras",
        "Camera": "/cameras/hall-1/dock-05",
        "Pipeline": "/pipeline",
        "Models": "/models",
        "Policy": "/policy",
        "Hooks": "/hooks",
        "Access": "/access",
        "Access, keys": "/access?show=keys",
    }
    return found | ({"Review, next item": f"/review/items/{item}"} if item else {})


async def measure(url: str, rounds: int) -> Figures:
    """Of each page what `figures` says, and `answer`, its size."""
    with tempfile.TemporaryDirectory() as data:
        settings = Settings(data=Path(data))
        stores = open_stores(settings, url)
        stores.upkeep.take_stock()
        add_person(stores, "ada", Role.ADMIN, map(FacilityId, FACILITIES), _PASSWORD, "seed")
        app = make_api(settings, stores, Metrics(), Tracing())
        transport = httpx.ASGITransport(app=app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=_URL) as browser:
            await _log_in(browser)
            found = {
                name: await _timed(browser, place, rounds, partial(core_s, stores.database))
                for name, place in pages(*_some(url, stores)).items()
            }
        stores.close()
    return found


async def _log_in(browser: httpx.AsyncClient) -> None:
    form = re.search(r'name="csrf" value="(\w+)"', (await browser.get("/login")).text)
    assert form is not None
    answer = await browser.post("/login", data={"csrf": form[1], "name": "ada", "password": _PASSWORD})
    assert answer.status_code == 303, answer.text


def _some(url: str, stores: Stores) -> tuple[str, str | None]:
    """An image of the middle, and one that waits for people."""
    items = stores.reviews.items(frozenset(map(FacilityId, FACILITIES)), 1)
    return str(middle(url)), str(items[0].image_id) if items else None


async def _timed(browser: httpx.AsyncClient, place: str, rounds: int, used_s: Callable[[], float]) -> dict[str, Any]:
    taken: list[float] = []
    before, size = 0.0, 0
    for n in range(rounds + 1):  # the first one fills caches
        before = used_s() if n <= 1 else before
        started = time.perf_counter()
        answer = await browser.get(place)
        taken.append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, f"{place}: {answer.status_code} {answer.text[:500]}"
        size = len(answer.content)
    return figures(taken, used_s() - before) | {"answer": f"{size / 1000:.0f} kB"}


def main() -> None:
    """Both sizes, then the table."""
    parser = options(__doc__)
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a page misses a goal")
    given = parser.parse_args()
    said = table(*both(given, lambda url: asyncio.run(measure(url, given.rounds))), "page", "answer")
    print(said)
    print(f"\nGoal: p95 <= {GOAL_MS:.0f} ms, and <= {GOAL_RATIO:.0f} times that of few; '!' misses one.")
    if given.strict and "| ! |" in said:
        sys.exit(1)


if __name__ == "__main__":
    main()
