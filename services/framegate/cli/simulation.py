"""How `policy simulate` runs, and how it shows what came of it."""

from datetime import datetime, timedelta

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from framegate.cli.common import console, note, out
from framegate.gate.desk import PolicyDesk
from framegate.gate.simulate import Simulation, ended_since


def replay(simulation: Simulation, desk: PolicyDesk, now: datetime, age: timedelta, limit: int) -> bool:
    """Decides the images of a facility again, newest first; says whether there may be more than `limit`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[images]} images, back to {task.fields[back]}"),
    )
    images = 0
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("deciding again", total=age.total_seconds(), images=0, back="now")
        for images, record in enumerate(ended_since(desk.results, desk.facility, now - age, limit), 1):
            simulation.add(record)
            if images % 100 == 0:
                at = record.facts.received_at
                bar.update(task, completed=(now - at).total_seconds(), images=images, back=f"{at:%m-%d %H:%M}")
    return images == limit


def show(simulation: Simulation, name: str, now: datetime) -> None:
    """Flips, rates and what was left out; `name` is what the candidate is called."""
    hours = simulation.hours(now)
    out.print(
        f"{simulation.replayed} images of the last {hours:.1f} hours, decided again by {escape(name)}:", highlight=False
    )
    if simulation.flips:
        table = Table("was", "would be", "images", "such as")
        for (before, after), count in simulation.flips.most_common():
            table.add_row(before, after, str(count), "\n".join(map(str, simulation.examples[before, after])))
        out.print(table)
    else:
        out.print("No image would end otherwise.")
    out.print(_rates(simulation, name, hours))
    for reason, count in simulation.left_out.most_common():
        note(f"{count} images: {reason}", "left out")
    if simulation.twice or simulation.candidate.doubts:
        console.print(
            f"No second look was taken: the {simulation.twice} images that had one were judged by both looks as they are "
            f"stored, and {simulation.candidate.doubts} others count as reviews that the candidate might look at again.",
            soft_wrap=True,
        )
    if simulation.candidate.unseen:
        console.print(
            f"{simulation.candidate.unseen} images have no label of some model of the candidate's chain, which counts as "
            "having answered.",
            soft_wrap=True,
        )


def _rates(simulation: Simulation, name: str, hours: float) -> Table:
    tallies = [one for one in (simulation.current, simulation.candidate) if one is not None]
    titles = [f"by version {one.policy.version}" for one in tallies[:-1]]
    table = Table("", "as decided", *titles, f"by {escape(name)}")
    ends = ("pass", "review", "fail", "rejected", "failed")
    for end in ends:
        counts = [simulation.decided[end], *(one.ends[end] for one in tallies)]
        table.add_row(end, *map(str, counts))
    table.add_section()
    reviews = [simulation.decided["review"], *(one.ends["review"] for one in tallies)]
    table.add_row("reviews per hour", *(f"{count / hours:.1f}" for count in reviews))
    table.add_row("alerts per hour", "", *(f"{one.alerts.total() / hours:.1f}" for one in tallies))
    table.add_row("incidents", "", *(str(one.incidents.count) for one in tallies))
    return table
