"""The review desk, as far as operators look at it; deciding is done over the API."""

import json as jsonlib
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from framegate.bootstrap import Stores
from framegate.cli.common import ByOption, DataOption, JsonOption, login, out
from framegate.cli.stores import stores_of
from framegate.kernel.ids import FacilityId
from framegate.kernel.reviews import LEAST_JUDGED, Tally
from framegate.settings import Settings

FacilityOption = Annotated[str | None, typer.Option("--facility", help="Only this one. Default: all")]

_AT_ONCE = 1000

reviews = typer.Typer(
    help="What waits for people, and what they found out about automatic passes.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(reviews, name="reviews")


@reviews.command("list")
def reviews_list(
    facility: FacilityOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="The most of them")] = 20,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Shows what waits, the riskiest first."""
    with stores_of(Settings.read(data=data)) as stores:
        found = stores.reviews.items(_facilities(stores, facility), limit)
    if json:
        rows = [
            {
                "image": str(item.image_id),
                "facility": item.facility,
                "camera": item.camera,
                "origin": item.origin,
                "automatic": item.automatic,
                "opened_at": item.opened_at.isoformat(),
                "leased_by": item.leased_by,
            }
            for item in found
        ]
        print(jsonlib.dumps(rows))
        return
    table = Table("image", "facility", "camera", "why", "since (UTC)", "in whose hands")
    now = datetime.now(UTC)
    for item in found:
        held = item.leased_by if item.leased_until is not None and item.leased_until > now else None
        since = f"{item.opened_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(Text, (str(item.image_id), item.facility, item.camera, item.origin, since, held or "")))
    out.print(table if found else "Nothing waits for people.")


@reviews.command("stats")
def reviews_stats(facility: FacilityOption = None, json: JsonOption = False, data: DataOption = None) -> None:
    """Shows how the desk is doing, and the escape rate of automatic passes with its interval."""
    with stores_of(Settings.read(data=data)) as stores:
        stats = stores.reviews.stats(_facilities(stores, facility))
    if json:
        facts: dict[str, Any] = {
            "open": stats.open,
            "leased": stats.leased,
            "oldest_at": stats.oldest_at and stats.oldest_at.isoformat(),
            "reviewers": {name: dict(counts) for name, counts in stats.reviewers.items()},
            "escapes": [_facts(tally) for tally in stats.tallies],
        }
        print(jsonlib.dumps(facts))
        return
    oldest = f"; the oldest since {stats.oldest_at:%Y-%m-%d %H:%M} UTC" if stats.oldest_at else ""
    out.print(f"{stats.open} wait, {stats.leased} of them in somebody's hands{oldest}.")
    people = Table("reviewer, last 30 days", "decisions")
    for name, counts in sorted(stats.reviewers.items()):
        said = ", ".join(f"{count} {choice}" for choice, count in sorted(counts.items()))
        people.add_row(Text(name), said)
    out.print(people if stats.reviewers else "Nobody decided anything in the last 30 days.")
    table = Table("sampled passes", "name", "judged", "escaped", "cannot tell", "escape rate (95 %)")
    for tally in stats.tallies:
        numbers = (str(tally.judged), str(tally.escaped), str(tally.unclear))
        table.add_row(tally.kind, Text(tally.name), *numbers, _rate(tally))
    out.print(
        table if stats.tallies else "No sampled pass was judged: FRAMEGATE_REVIEWS__SAMPLE is the share to sample."
    )


@reviews.command("backfill")
def reviews_backfill(
    facility: FacilityOption = None,
    by: ByOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Has people asked about images that ended as review and are not at the desk: they ended before there was one.

    It can be repeated and broken off: no image gets two items.
    """
    opened, actor = 0, by or login()
    with stores_of(Settings.read(data=data)) as stores:
        for each in sorted(_facilities(stores, facility)):
            while done := stores.reviews.backfill(each, actor, _AT_ONCE):
                opened += done
    out.print(
        jsonlib.dumps({"opened": opened}) if json else f"Images that wait for people now and had no item: {opened}."
    )


def _facilities(stores: Stores, named: str | None) -> frozenset[FacilityId]:
    return frozenset({FacilityId(named)}) if named else stores.incidents.facilities()


def _facts(tally: Tally) -> dict[str, Any]:
    low, high = tally.interval
    names = {"kind": tally.kind, "name": tally.name, "judged": tally.judged, "escaped": tally.escaped}
    return names | {"cannot_tell": tally.unclear, "rate": tally.rate, "low": low, "high": high}


def _rate(tally: Tally) -> str:
    low, high = tally.interval
    interval = f"{low:.2%} to {high:.2%}"
    return f"too few (of {LEAST_JUDGED}): {interval}" if tally.rate is None else f"{tally.rate:.2%} ({interval})"
