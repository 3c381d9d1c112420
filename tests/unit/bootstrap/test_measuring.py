"""What a process tells of its host must not hang with it."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framegate.adapters.postgres import Database
from framegate.bootstrap import measured_process
from framegate.kernel.states import Stage
from framegate.observability.catalogue import DISK_FREE
from framegate.observability.metrics import Metrics
from framegate.settings import Settings
from tests.support.box import until


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    yield database
    database.close()


def test_a_volume_that_hangs_takes_neither_the_scrape_nor_the_other_volumes_with_it(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended, usage = threading.Event(), shutil.disk_usage

    def hangs(path: Path) -> Any:
        if path.name == "far":
            mended.wait(60)
        return usage(path)

    monkeypatch.setattr(shutil, "disk_usage", hangs)
    metrics, settings = Metrics(), Settings(data=tmp_path, model_cache=tmp_path / "far")
    scrapes: list[str] = []
    with measured_process([Stage.GATE], settings, database, metrics):
        scraper = threading.Thread(target=lambda: scrapes.append(metrics.render()[0].decode()), daemon=True)
        until(lambda: metrics.value(DISK_FREE, {"volume": "data"}) > 0)
        scraper.start()
        scraper.join(10)
        mended.set()
    assert scrapes, "a scrape waits for the volume"
    assert f'{DISK_FREE.name}{{volume="data"}}' in scrapes[0]
    assert 'volume="model_cache"' not in scrapes[0]
    assert scrapes[0].count(f"# TYPE {DISK_FREE.name}") == 1
