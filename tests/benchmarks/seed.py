"""Fills a database with what a site keeps after weeks.

    python tests/benchmarks/seed.py DATABASE_URL [--images 50000] [--seed 1] [--days 30] [--hour 0]

Two facilities with twenty cameras each; three detections an image on average; two people of a hundred images' reviews;
shipments and pallets. The rows are written by the server itself, with every constraint and trigger in force, and satisfy
what `framegate verify` checks in the database; there are no files behind them. `--hour` adds so many images of the last
hour. The database must be migrated and without images.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

FACILITIES, CAMERAS = ("hall-1", "hall-2"), 20
_PORTION = 25_000
_PLACES = """
insert into facilities (id, name) select f, f from unnest(%(facilities)s::text[]) f on conflict do nothing;
insert into cameras (facility_id, id, status)
select f, 'dock-' || lpad(n::text, 2, '0'), 'confirmed'
from unnest(%(facilities)s::text[]) f, generate_series(1, %(cameras)s) n on conflict do nothing
"""


def seed(
    url: str,
    images: int,
    number: int = 1,
    since: timedelta = timedelta(days=30),
    told: Callable[[int, int], None] = lambda _, __: None,
) -> None:
    """`images` up to now, each portion in a transaction. `told`: how many are there, of how many."""
    # Literals are put in by the client, as these are several statements.
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute(_PLACES, {"facilities": list(FACILITIES), "cameras": CAMERAS})
        connection.execute("set synchronous_commit = off")
        text = Path(__file__).with_suffix(".sql").read_text("utf-8")
        until = datetime.now(UTC)
        for first in range(0, images, _PORTION):
            last = min(images, first + _PORTION) - 1
            given = {"first": first, "last": last, "count": images, "since": until - since, "until": until}
            with connection.transaction():
                connection.execute(text.encode(), given | {"seed": str(number)})
            told(last + 1, images)
        connection.execute("vacuum (analyze)")


def _tell(done: int, images: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done:,} of {images:,} images", end="" if done < images else "\n", file=sys.stderr, flush=True)


def main() -> None:
    """Says how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="of a migrated database")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--hour", type=int, default=0, help="images of the last hour beside")
    given = parser.parse_args()
    started = time.perf_counter()
    seed(given.url, given.images, given.seed, timedelta(days=given.days), _tell)
    if given.hour:
        seed(given.url, given.hour, given.seed + 1, timedelta(hours=1), _tell)
    print(f"{given.images + given.hour:,} images in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
