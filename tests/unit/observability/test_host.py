"""Against a /proc of our own, and the real one of the machine that runs the tests."""

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from framegate.observability.catalogue import CATALOGUE, CPU_RATIO, DISK_FREE, GPU_POWER_WATTS, LOG_LINES
from framegate.observability.host import (
    HostCpu,
    collect_process,
    connections,
    disks,
    host_memory,
    log_lines,
)
from framegate.observability.logs import configure_logs, get_log
from framegate.observability.metrics import Metrics
from framegate.observability.readings import Reading
from tests.support.logs import logs_restored


def values(readings: Iterable[Reading]) -> list[float]:
    return [reading.value for reading in readings]


def test_the_cpu_is_compared_with_the_reading_before(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice; what guests use is in user and nice already
    stat.write_text("cpu  100 0 0 900 0 0 0 0 50 0\ncpu0 1 2 3\n")
    cpu = HostCpu(tmp_path)
    assert values(cpu()) == []
    stat.write_text("cpu  140 5 20 920 10 1 2 2 99 0\ncpu0 1 2 3\n")
    assert values(cpu()) == [pytest.approx(70 / 100)]
    stat.write_text("cpu  140 5 20 1020 10 1 2 2 99 0\n")
    assert values(cpu()) == [0]


def test_the_memory_is_what_can_be_given_out(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  16000 kB\nMemFree:  10 kB\nMemAvailable:    2000 kB\n")
    assert values(host_memory(tmp_path)) == [2000 * 1024]


def test_without_proc_they_say_nothing(tmp_path: Path) -> None:
    assert values(HostCpu(tmp_path)()) == []
    assert values(host_memory(tmp_path)) == []
    (tmp_path / "stat").mkdir()  # cannot be read, whoever asks
    assert values(HostCpu(tmp_path)()) == []


def test_a_volume_that_is_missing_is_absent_and_the_others_are_not(tmp_path: Path) -> None:
    free, size = disks({"model_cache": tmp_path / "none", "data": tmp_path})()
    assert free.labels == size.labels == {"volume": "data"}
    assert 0 < free.value <= size.value


def test_connections_have_states() -> None:
    assert [(each.labels["state"], each.value) for each in connections(lambda: (3, 5))()] == [("busy", 3), ("idle", 5)]


def test_lines_are_counted_by_level_whatever_becomes_of_them() -> None:
    def warnings() -> float:
        return sum(each.value for each in log_lines() if each.labels["level"] == "warning")

    with logs_restored():
        configure_logs(level="INFO", write=lambda _: None)
        before = warnings()
        get_log().warning("a process died", action="child_died")
        get_log().debug("a process died", action="child_died")
        assert warnings() == before + 1


def test_what_prometheus_client_writes_is_in_the_catalogue_with_its_labels() -> None:
    registry = CollectorRegistry()
    collect_process(registry)
    found = {s.name: set(s.labels) for family in registry.collect() for s in family.samples}
    assert found == {metric.name: set(metric.labels) for metric in CATALOGUE if metric.source == "client"}


def test_a_reading_that_fails_takes_no_other_with_it_and_comes_back() -> None:
    metrics, broken = Metrics(), True

    def read() -> list[Reading]:
        if broken:
            raise OSError("no")
        return [Reading(CPU_RATIO, 0.5)]

    metrics.at_scrape(read)
    metrics.at_scrape(lambda: [Reading(DISK_FREE, 7, {"volume": "data"}), Reading(LOG_LINES, 3, {"level": "info"})])
    metrics.at_scrape(lambda: [Reading(GPU_POWER_WATTS, 300)])  # lacks its label
    for _ in range(2):
        text = metrics.render()[0].decode()
        assert 'framegate_disk_free_bytes{volume="data"} 7.0' in text
        assert 'framegate_log_lines_total{level="info"} 3.0' in text
        assert "\nframegate_host_cpu_ratio" not in text
        assert "\nframegate_gpu" not in text
    broken = False
    assert metrics.value(CPU_RATIO) == 0.5


def test_all_of_it_takes_less_than_5_ms(tmp_path: Path) -> None:
    registry = Metrics()
    collect_process(registry.registry)
    cpu = HostCpu()
    reads = (cpu, host_memory, disks({"data": tmp_path}), log_lines)

    def once() -> float:
        started = time.perf_counter()
        for read in reads:
            list(read())
        return time.perf_counter() - started

    assert min(once() for _ in range(20)) < 0.005  # the fastest: others use this machine
    client = CollectorRegistry()
    collect_process(client)
    started = time.perf_counter()
    generate_latest(client)
    assert time.perf_counter() - started < 1
