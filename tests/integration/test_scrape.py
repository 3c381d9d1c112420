"""What a whole process serves over HTTP, read by others: promtool, and prometheus_client's parser of OpenMetrics."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus_text
from sqlalchemy import make_url

from framegate.bootstrap import open_stores
from framegate.box.process import seen_from_outside
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.states import Stage
from framegate.observability.catalogue import CATALOGUE, DATABASE_CONNECTIONS, GPU_MEMORY_USED
from framegate.observability.metrics import Metrics
from framegate.observability.readings import Reading
from framegate.ports.overview import ALIVE
from framegate.settings import Settings
from tests.support.box import until
from tests.support.promtool import lint

TRACE = "0af7651916cd43dd8448eb211c80319c"


def write_everything(metrics: Metrics) -> None:
    """One series of each entry of the catalogue that a process writes or reads."""
    for metric in CATALOGUE:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.source == "code":
            match metric.kind:
                case "counter":
                    metrics.count(metric, **labels)
                case "gauge":
                    metrics.set(metric, 1, **labels)
                case "histogram":
                    metrics.observe(metric, 0.2, TRACE, **labels)
        elif metric.name.startswith("framegate_gpu"):
            metrics.at_scrape(partial(list, [Reading(metric, 1, labels)]))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, worker_name="box/inference-0")


@pytest.fixture
def address(settings: Settings, database_url: str) -> Iterator[str]:
    with ExitStack() as closing:
        stores, metrics = open_stores(settings, database_url), Metrics()
        closing.callback(stores.close)
        port = closing.enter_context(seen_from_outside([Stage.INFERENCE], settings, stores, metrics))
        write_everything(metrics)
        # The reporter reports, so the pool has a connection.
        until(lambda: [s.metrics_port for s in stores.workers.statuses(ALIVE)] == [port], 30, "the report")
        yield f"http://127.0.0.1:{port}/metrics"


def scrape(address: str, accept: str = "") -> str:
    answer = httpx.get(address, headers={"Accept": accept}, timeout=10, trust_env=False)
    return answer.raise_for_status().text


def test_all_that_is_served_is_in_the_catalogue_and_the_other_way_round(address: str) -> None:
    scrape(address)  # the host's CPU is compared with the scrape before
    found: dict[str, set[str]] = {}
    for family in prometheus_text(scrape(address)):
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            base = sample.name
            if family.type == "histogram":
                base = family.name
            found.setdefault(base, set()).update(set(sample.labels) - {"le"})
    assert found == {metric.name: set(metric.labels) for metric in CATALOGUE}


def test_prometheus_finds_nothing_to_object_to(address: str) -> None:
    assert lint(scrape(address)) == ""


def test_openmetrics_is_understood_with_the_exemplars_of_histograms_alone(address: str) -> None:
    text = scrape(address, "application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    exemplars = {s.name: s.exemplar.labels for f in open_metrics(text) for s in f.samples if s.exemplar}
    histograms = [metric for metric in CATALOGUE if metric.kind == "histogram"]
    assert exemplars == {f"{metric.name}_bucket": {"trace_id": TRACE} for metric in histograms}


def test_the_readings_of_this_process_are_its_own(address: str, settings: Settings) -> None:
    text = scrape(address)
    assert "framegate_build_info{" in text
    assert f'{DATABASE_CONNECTIONS.name}{{state="idle"}}' in text
    assert 'framegate_disk_free_bytes{volume="data"}' in text
    assert settings.model_cache is None
    assert 'volume="model_cache"' not in text
    assert f"{GPU_MEMORY_USED.name}{{" in text


def test_a_port_that_is_taken_is_an_error_that_names_the_setting(
    settings: Settings, database_url: str, address: str
) -> None:
    port = make_url(address).port
    taken = settings.model_copy(update={"worker": settings.worker.model_copy(update={"port": port})})
    stores = open_stores(settings, database_url)
    try:
        with (
            pytest.raises(ConfigurationError, match="FRAMEGATE_WORKER__PORT"),
            seen_from_outside([Stage.INGEST], taken, stores, Metrics()),
        ):
            pass
    finally:
        stores.close()
