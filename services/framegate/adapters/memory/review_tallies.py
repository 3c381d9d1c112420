"""What people said about sampled passes, in memory."""

from collections import Counter
from dataclasses import replace

from framegate.adapters.memory.state import MemoryState, ReviewRow
from framegate.kernel.inspection import Inspected
from framegate.kernel.reviews import Choice, Origin, Tally


def tallies_of(state: MemoryState, rows: list[ReviewRow]) -> list[Tally]:
    """See `ReviewStats`."""
    tallies: dict[tuple[str, str], Tally] = {}
    classes: Counter[str] = Counter()
    for row in rows:
        if row.origin is not Origin.SAMPLE or row.decided is None:
            continue
        image, said = state.images[row.image_id], row.decided.decision
        model = image.finding.model if isinstance(image.finding, Inspected) else ""
        if said.choice is Choice.FAIL:
            classes[said.name] += 1
        for key in (("all", ""), ("camera", str(image.facts.camera)), ("model", model)):
            tally = tallies.get(key, Tally(*key, 0, 0))
            unclear = said.choice is Choice.CANNOT_TELL
            tallies[key] = replace(
                tally,
                judged=tally.judged + (not unclear),
                escaped=tally.escaped + (said.choice is Choice.FAIL),
                unclear=tally.unclear + unclear,
            )
    judged = tallies[("all", "")].judged if tallies else 0
    return [
        *(tallies[key] for key in sorted(tallies)),
        *(Tally("class", name, judged, n) for name, n in sorted(classes.items())),
    ]
