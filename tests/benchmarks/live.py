"""How soon open pages hear of outcomes, and what many of them leave behind: `python -m tests.benchmarks.live`, prints JSON.

A box of its own; every viewer is a connection to `/live`. `to_viewer_ms` is the time from an outcome's commit, as Postgres
dates it, to the arrival of its event at each viewer. Then more viewers come and leave at once: what the API process holds
before, with and after them. Viewers and box share the machine.
"""

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from tests.support.box import RunningBox, running_box, until

from framegate.box.keys import create_key
from framegate.cli.stores import stores_of
from framegate.kernel.states import DEFAULT_SCOPES
from framegate.settings import Settings
from framegate.starter import sample_frames
from framegate.web.fanout import MOST_OF_ONE

_VIEWERS = re.compile(r"^framegate_live_viewers ([\d.]+)$", re.MULTILINE)
_PATIENCE_S = 120


def keys(box: RunningBox, viewers: int) -> list[str]:
    """Enough of them: each may listen a few times."""
    settings, scopes = Settings(data=box.data), frozenset(map(str, DEFAULT_SCOPES))
    with stores_of(settings) as stores:
        needed = -(-viewers // MOST_OF_ONE)
        return [create_key(stores, settings, f"viewer-{n}", scopes, ["main"], 1) for n in range(needed)]


class Viewer:
    """A page that is open."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self.listening = asyncio.Event()

    async def listen(self, client: httpx.AsyncClient, key: str) -> None:
        """Until it is cancelled."""
        head = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        async with client.stream("GET", "/live", headers=head) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                now = time.time()
                self.listening.set()
                if line.startswith("data: {"):
                    said = json.loads(line.removeprefix("data: "))
                    self.heard[said["image"]] = now - datetime.fromisoformat(said["at"]).timestamp()


def held(box: RunningBox, settle_s: float = 3) -> dict[str, Any]:
    """By the API process, and by Postgres for the whole box."""
    time.sleep(settle_s)
    processes = box.processes()
    api, postmaster = processes["api"], processes["postgres"]
    return {
        "threads": api.num_threads(),
        "file_descriptors": api.num_fds(),
        "rss_mib": round(api.memory_info().rss / 2**20, 1),
        "postgres_connections": sum("[local]" in " ".join(child.cmdline()) for child in postmaster.children()),
    }


def watching(box: RunningBox) -> int:
    """As the API counts."""
    found = _VIEWERS.search(box.metrics())
    return int(float(found[1])) if found else 0


async def open_pages(
    box: RunningBox, count: int, stack: AsyncExitStack
) -> tuple[list[Viewer], list[asyncio.Task[None]]]:
    """They listen when it returns."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    client = await stack.enter_async_context(
        httpx.AsyncClient(base_url=box.url, limits=limits, timeout=httpx.Timeout(_PATIENCE_S), trust_env=False)
    )
    tokens = await asyncio.to_thread(keys, box, count)
    viewers = [Viewer() for _ in range(count)]
    tasks = [asyncio.create_task(viewer.listen(client, tokens[n // MOST_OF_ONE])) for n, viewer in enumerate(viewers)]
    async with asyncio.timeout(_PATIENCE_S):
        await asyncio.gather(*(viewer.listening.wait() for viewer in viewers))
        while await asyncio.to_thread(watching, box) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return viewers, tasks


async def close(tasks: list[asyncio.Task[None]]) -> None:
    """All at once."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def delivery(box: RunningBox, count: int, images: int, every_s: float) -> dict[str, Any]:
    """What `to_viewer_ms` says."""
    async with AsyncExitStack() as stack:
        viewers, tasks = await open_pages(box, count, stack)
        frames = sample_frames()
        for n in range(images):
            frame = frames[n % len(frames)].read_bytes()
            answer = await asyncio.to_thread(box.upload, frame, camera=f"dock-{n % 8}")
            answer.raise_for_status()
            await asyncio.sleep(every_s)
        async with asyncio.timeout(_PATIENCE_S):
            while any(len(viewer.heard) < images for viewer in viewers):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await close(tasks)
    took = np.array([seconds for viewer in viewers for seconds in viewer.heard.values()]) * 1000
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(took, (50, 95, 99)))
    return {
        "viewers": count,
        "images": images,
        "events": len(took),
        "to_viewer_ms": {"p50": p50, "p95": p95, "p99": p99, "max": round(float(took.max()), 1)},
        "within_1_s": round(float((took <= 1000).mean()), 4),
    }


async def departure(box: RunningBox, count: int) -> dict[str, Any]:
    """What they hold, and what is left of it."""
    before = await asyncio.to_thread(held, box)
    async with AsyncExitStack() as stack:
        _, tasks = await open_pages(box, count, stack)
        during = await asyncio.to_thread(held, box)
        left = time.monotonic()
        await close(tasks)
    await asyncio.to_thread(until, lambda: watching(box) == 0, _PATIENCE_S, "no viewer")
    noticed_s = round(time.monotonic() - left, 2)
    after = await asyncio.to_thread(held, box)
    return {"viewers": count, "noticed_within_s": noticed_s, "before": before, "during": during, "after": after}


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--leaving", type=int, default=200)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--every-s", type=float, default=0.25, help="between uploads")
    wanted = parser.parse_args()
    load = os.getloadavg()
    with tempfile.TemporaryDirectory() as place, running_box(Path(place) / "data") as box:
        found = {
            "what": "live feed",
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "cpus": psutil.cpu_count(),
            "load_average_before": [round(value, 1) for value in load],
            "delivery": asyncio.run(delivery(box, wanted.viewers, wanted.images, wanted.every_s)),
            "departure": asyncio.run(departure(box, wanted.leaving)),
        }
        found["load_average_after"] = [round(value, 1) for value in os.getloadavg()]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
