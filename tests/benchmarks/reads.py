"""What the pages ask the database: p50 and p95 with few and with many stored inspections, and how much slower that is.

    python -m tests.benchmarks.reads [--small 10000] [--large 1000000] [--hour 0] [--rounds 20] [--json FILE]
    python -m tests.benchmarks.reads --urls SMALL_URL LARGE_URL

A Postgres of its own, filled by `seed.py`, or two databases that were. The time is that of the port: statements, transfer
and what Python makes of the rows; `core` is their processor time, which says more where others use the machine. Prints a
table; the goal is a p95 of at most 150 ms, and at most twice that of few.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from sqlalchemy import make_url
from tests.benchmarks.seed import FACILITIES, seed

from framegate.adapters.embedded_postgres import EmbeddedPostgres
from framegate.adapters.postgres import Database, PostgresOverview, PostgresResults, PostgresUpkeep, migrate
from framegate.kernel.errors import TooBroad
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import Lane, Verdict
from framegate.ports.store import ImageFilter

GOAL_MS: Final = 150.0
GOAL_RATIO: Final = 2.0
#: Below this a ratio says nothing: it is the noise of a round trip.
_LEAST_MS: Final = 10.0
_PAGE: Final = 51
#: By what was measured.
Figures = dict[str, dict[str, Any]]
BOTH: Final = frozenset(map(FacilityId, FACILITIES))


def searches(database: Database, some: ImageId, now: datetime) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What people look for, and what is worst for it. `some`: an image of the middle."""
    results = PostgresResults(database)
    dock, whole = CameraId("dock-05"), CameraId("dock-20")
    of_shipment = results.image(BOTH, some)
    shipment = {"shipment": of_shipment.metadata["shipment"]} if of_shipment is not None else {}
    day, month = now - timedelta(days=1), now - timedelta(days=29)
    wanted: dict[str, dict[str, Any]] = {
        "newest": {},
        "page in the middle": {"before": some},
        "page before": {"after": some},
        "camera": {"camera": dock},
        "fail": {"verdict": Verdict.FAIL},
        "fail of a month": {"verdict": Verdict.FAIL, "received_since": month},
        "fail of a camera": {"verdict": Verdict.FAIL, "camera": dock},
        "fail of a camera without": {"verdict": Verdict.FAIL, "camera": whole},
        "fail of a day, camera without": {"verdict": Verdict.FAIL, "camera": whole, "received_since": day},
        "effective fail": {"effective": Verdict.FAIL},
        "effective review": {"effective": Verdict.REVIEW},
        "effective fail, class": {"effective": Verdict.FAIL, "detected": "hole"},
        "reviewed": {"reviewed": True},
        "not reviewed review": {"reviewed": False, "verdict": Verdict.REVIEW},
        "reviewed of a camera": {"reviewed": True, "camera": dock},
        "reason": {"reason": "exhausted"},
        "rare reason of a camera": {"reason": "subject-missing", "camera": dock},
        "rare reason, common class": {"reason": "subject-missing", "detected": "carton"},
        "old model": {"model": "carton@1"},
        "rare model": {"model": "trial@1"},
        "unknown model": {"model": "carton@9"},
        "old model of a day": {"model": "carton@1", "received_since": day},
        "class": {"detected": "carton"},
        "rare class": {"detected": "missing-seal"},
        "unknown class": {"detected": "ladder"},
        "rare class of a camera": {"detected": "missing-seal", "camera": dock},
        "rare class, review": {"detected": "missing-seal", "verdict": Verdict.REVIEW},
        "class, sure": {"detected": "dent", "min_confidence": 0.7},
        "class, doubtful": {"detected": "dent", "max_confidence": 0.6},
        "class, never so sure": {"detected": "carton", "min_confidence": 0.99},
        "doubtful": {"max_confidence": 0.5},
        "never so sure": {"min_confidence": 0.99},
        "never so sure of a day": {"min_confidence": 0.99, "received_since": day},
        "never so unsure": {"max_confidence": 0.1},
        "bulk": {"lane": Lane.BULK},
        "bulk fail of a camera": {"lane": Lane.BULK, "verdict": Verdict.FAIL, "camera": dock},
        "shipment": {"metadata": shipment},
        "shipment of nobody": {"metadata": {"shipment": "SHP-none"}},
        "shipment, fail": {"metadata": shipment, "verdict": Verdict.FAIL},
        "dock": {"metadata": {"dock": "dock-05"}},
        "dock, fail": {"metadata": {"dock": "dock-05"}, "verdict": Verdict.FAIL},
        "nothing": {"verdict": Verdict.FAIL, "reason": "quality"},
        "nothing at all": {"verdict": Verdict.PASS, "reason": "damage", "detected": "carton", "model": "carton@1"},
    }
    for name, where in wanted.items():
        yield f"search: {name}", partial(results.images, ImageFilter(BOTH, **where), _PAGE)
    yield "one image", lambda: results.image(BOTH, some)


def overviews(database: Database, some: ImageId) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What the pages show that are not a search."""
    overview, dock = PostgresOverview(database), CameraId("dock-05")
    yield "rates of an hour", partial(overview.rates, BOTH, timedelta(hours=1))
    yield "rates of five minutes", partial(overview.rates, BOTH, timedelta(minutes=5))
    yield "stages", overview.stages
    yield "stock", partial(overview.stock, BOTH)
    yield "missing", partial(overview.missing, BOTH, 100)
    yield "neighbours", partial(overview.neighbours, BOTH, some)
    yield "quality, 200 points", partial(overview.quality, BOTH, dock, 200)
    yield "quality, 1000 points", partial(overview.quality, BOTH, dock, 1000)
    yield "facets", partial(overview.facets, BOTH)


def measure(url: str, rounds: int, only: str = "") -> Figures:
    """Of each query what `figures` says, and `rows`."""
    database, found, some = Database(url), Figures(), middle(url)
    PostgresUpkeep(database).take_stock()
    for name, ask in chain(searches(database, some, datetime.now(UTC)), overviews(database, some)):
        if only in name:
            found[name] = _timed(ask, rounds, partial(core_s, database))
    database.close()
    return found


def middle(url: str) -> ImageId:
    """An image of the first hall with as many before it as after it, about."""
    with psycopg.connect(url, autocommit=True) as side:
        row = side.execute(
            "select image_id from images where facility_id = 'hall-1' offset (select reltuples::bigint / 4 from pg_class "
            "where oid = 'images'::regclass) limit 1"
        ).fetchone()
    assert row is not None
    return ImageId(row[0])


def core_s(database: Database) -> float:
    """Of the one backend that serves this client and of the client itself: the same whatever else the machine does."""
    pid = database.run(lambda connection: connection.info.backend_pid)
    ticks = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + time.process_time()


def _timed(ask: Callable[[], Any], rounds: int, core_s: Callable[[], float]) -> dict[str, Any]:
    taken: list[float] = []
    rows: Any = None
    before = 0.0
    for n in range(rounds + 1):  # the first one fills caches
        before = core_s() if n <= 1 else before
        started = time.perf_counter()
        try:
            answer = ask()
            rows = len(answer) if hasattr(answer, "__len__") else None
        except TooBroad:
            rows = "too broad"
        taken.append((time.perf_counter() - started) * 1000)
        if rows == "too broad":
            break
    return figures(taken, core_s() - before) | {"rows": rows}


def figures(taken_ms: Sequence[float], used_s: float) -> dict[str, Any]:
    """{p50_ms, p95_ms, core_ms, first_ms} of rounds of which the first one filled caches. `used_s`: by the others."""
    later = sorted(taken_ms[1:] or taken_ms)
    return {
        "p50_ms": round(statistics.median(later), 1),
        "p95_ms": round(later[min(len(later) - 1, round(0.95 * len(later)))], 1),
        "core_ms": round(used_s * 1000 / len(later), 1),
        "first_ms": round(taken_ms[0], 1),
    }


def table(small: Figures, large: Figures, what: str = "query", size: str = "rows") -> str:
    """In Markdown; what misses a goal is marked. `size`: the figure that says how much it is."""
    head = f"| {what} | p50 few | p95 few | core few | p50 many | p95 many | core many | first | {size} | ratio | |"
    lines = [head, "|---" * 11 + "|"]
    for name, many in large.items():
        few = small[name]
        ratio = many["p95_ms"] / max(few["p95_ms"], 0.1)
        misses = many["p95_ms"] > GOAL_MS or (ratio > GOAL_RATIO and many["p95_ms"] > _LEAST_MS)
        measures = ("p50_ms", "p95_ms", "core_ms")
        numbers = (*map(few.get, measures), *map(many.get, measures), many["first_ms"], many[size])
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} | {ratio:.1f} | {'!' if misses else ''} |")
    return "\n".join(lines)


@contextmanager
def filled(small: int, large: int, hour: int) -> Iterator[list[str]]:
    """The URLs of two databases of one server."""
    with (
        tempfile.TemporaryDirectory(prefix="framegate-reads-") as directory,
        EmbeddedPostgres(Path(directory)).owned() as url,
    ):
        urls = []
        for name, images in (("small", small), ("large", large)):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            urls.append(make_url(url).set(database=name).render_as_string(hide_password=False))
            migrate(urls[-1])
            seed(urls[-1], images)
            if hour:
                seed(urls[-1], hour * images // large, 2, timedelta(hours=1))
        yield urls


def options(about: str | None) -> argparse.ArgumentParser:
    """Which databases, and how often."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument(
        "--hour", type=int, default=0, help="images of the last hour beside; in the small one its share"
    )
    parser.add_argument("--urls", nargs=2, help="databases that are filled already")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    return parser


def both(given: argparse.Namespace, measured: Callable[[str], Figures]) -> tuple[Figures, Figures]:
    """Of few and of many."""
    with nullcontext(given.urls) if given.urls else filled(given.small, given.large, given.hour) as urls:
        small, large = map(measured, urls)
    if given.json:
        said = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "small": small, "large": large}
        given.json.write_text(json.dumps(said, indent=2) + "\n", "utf-8")
    return small, large


def main() -> None:
    """Both sizes, then the table."""
    parser = options(__doc__)
    parser.add_argument("--only", default="", help="queries whose name holds this")
    given = parser.parse_args()
    print(table(*both(given, lambda url: measure(url, given.rounds, given.only))))


if __name__ == "__main__":
    main()
