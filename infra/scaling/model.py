"""How many workers and what they cost, from `inputs.toml` and the measurements that it names. Only arithmetic.

Three hops (preprocess, inference, gate), each: the stage before sends, the stage receives and deletes.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
INPUTS: Final = Path(__file__).with_name("inputs.toml")
MONTH_S: Final = 730 * 3600
STAGES: Final = ("api", "preprocess", "inference", "gate")
#: Cores that one process of a stage can use: two decoder children (FRAMEGATE_PREPROCESS__CHILDREN), else one.
CORES: Final = {"api": 1, "preprocess": 2, "inference": 1, "gate": 1}
#: Messages that an inference process holds: two full receives, and a batch.
INFERENCE_WINDOW: Final = 24
_LANES: Final = 2
_QUEUES: Final = 6
_VCPUS: Final = (2, 4, 8, 16, 32, 48, 64, 96)
_WORKER_VCPUS: Final = 8
_GPU_VCPUS: Final = 4
_GB, _MILLION = 1e9, 1e6


class Inputs:
    """One value for each name."""

    def __init__(self, file: Path = INPUTS) -> None:
        self.raw: dict[str, dict[str, Any]] = tomllib.loads(file.read_text("utf-8"))
        files: dict[str, Any] = {}
        for row in self.raw["measured"].values():
            name = row["file"]
            if name not in files:
                files[name] = json.loads((ROOT / "docs/benchmarks" / name).read_text("utf-8"))
            row["value"] = _at(files[name], row["at"])
        self.database: dict[str, Any] = files["2026-11-24-database.json"]["runs"][0]
        self.without_detections: dict[str, Any] = files["2026-11-24-database.json"]["runs"][1]

    def __getitem__(self, name: str) -> float:
        """Of any table; names are unique."""
        return next(float(table[name]["value"]) for table in self.raw.values() if name in table)


def _at(document: Any, path: str) -> float:
    for part in path.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return float(document)


@dataclass(frozen=True)
class Hop:
    """Messages that share a call, on average."""

    sent: float
    received: float
    deleted: float

    @property
    def calls(self) -> float:
        """Requests for each image."""
        return 1 / self.sent + 1 / self.received + 1 / self.deleted


class Size:
    """The pipeline on AWS at a steady rate of images/s, inference on CPUs."""

    def __init__(self, inputs: Inputs, rate: float) -> None:
        self.inputs, self.rate = inputs, rate
        self.images = rate * MONTH_S
        self.cpu_ms, self.processes, self.hops = self._settled()

    def _settled(self) -> tuple[dict[str, float], dict[str, int], list[Hop]]:
        """More processes fill calls worse, which takes more processes: from the least on, until it stays."""
        hops = [Hop(10, 10, 10)] * 3
        processes: dict[str, int] = {}
        while True:
            cpu = self._cpu(hops)
            busy = {stage: self.rate * cpu[stage] / 1000 / self.inputs["load"] for stage in STAGES}
            wanted = {stage: max(2, math.ceil(busy[stage] / CORES[stage])) for stage in STAGES}
            if wanted == processes:
                return cpu, processes, hops
            processes, hops = wanted, self._hops(wanted)

    def _fill(self, processes: int, window_s: float) -> float:
        """Two calls of a process that are not full are `window_s` apart."""
        return min(self.inputs["sqs_batch"], max(1.0, self.rate / processes * window_s))

    def _hops(self, processes: Mapping[str, int]) -> list[Hop]:
        hops = []
        for before, stage in pairwise(STAGES):
            sent = self._fill(processes[before], self.inputs["linger_s"])
            # What was sent together is there together.
            received = max(sent, self._fill(processes[stage], self.inputs["linger_s"]))
            hops.append(Hop(sent, received, self._fill(processes[stage], self.inputs["delete_window_s"])))
        return hops

    def _cpu(self, hops: list[Hop]) -> dict[str, float]:
        """Core-milliseconds for each image; a call costs the same however full it is (measured: full)."""
        i = self.inputs
        cpu = {
            "api": i["api_ms"] + i["put_original_ms"],
            "preprocess": i["preprocess_ms"] + i["get_original_ms"] + i["encode_ms"] + i["put_prepared_ms"],
            "inference": i["inference_ms"] + i["get_prepared_ms"] + i["decode_ms"] + i["delete_prepared_ms"],
            "gate": i["gate_ms"],
        }
        for before, stage, hop in zip(STAGES, STAGES[1:], hops, strict=False):
            cpu[before] += i["send_ms"] / hop.sent
            cpu[stage] += i["receive_ms"] / hop.received + i["delete_ms"] / hop.deleted
        return cpu

    @cached_property
    def cores(self) -> float:
        """Of all workers together, at the load that was chosen."""
        return self.rate * sum(self.cpu_ms.values()) / 1000 / self.inputs["load"]

    @cached_property
    def machines(self) -> int:
        """Two at least, in two zones."""
        return max(2, math.ceil(self.cores / _WORKER_VCPUS))

    @cached_property
    def calls(self) -> float:
        """SQS requests for each image, those that no message answers not counted."""
        return sum(hop.calls for hop in self.hops)

    @cached_property
    def idle_calls(self) -> float:
        """A month: long polls of the lane that is empty, and the sweeper's questions."""
        return self._polls(1) + _QUEUES / self.inputs["sweep_s"] * MONTH_S

    def _polls(self, lanes: int) -> float:
        waiting = sum(self.processes[stage] for stage in STAGES[1:])
        return waiting * lanes / self.inputs["poll_s"] * MONTH_S

    @cached_property
    def asleep_calls(self) -> float:
        """A month without a single image."""
        return self._polls(_LANES) + _QUEUES / self.inputs["sweep_s"] * MONTH_S

    def _of_database(self, together: str, alone: str) -> float:
        """Between the two measured batches: what does not share a statement grows with 1/batch."""
        share = sum(1 / hop.sent for hop in self.hops) / len(self.hops)
        lone = (share - 0.1) / 0.9
        return self.inputs[together] + lone * (self.inputs[alone] - self.inputs[together])

    @cached_property
    def database_ms(self) -> float:
        """Core-milliseconds of Postgres for each image."""
        return self._of_database("database_ms_together", "database_ms_alone")

    @cached_property
    def commits_per_s(self) -> float:
        """Each waits for the disk; those of one moment wait together."""
        return self.rate * self._of_database("commits_together", "commits_alone")

    @cached_property
    def database_vcpus(self) -> int:
        """The smallest that is enough; 0 when none is."""
        wanted = self.rate * self.database_ms / 1000 / self.inputs["database_load"]
        return next((vcpus for vcpus in _VCPUS if vcpus >= wanted), 0)

    def database_gb(self, months: float = 1) -> float:
        """What is in it after that many months without deletion."""
        return self.images * months * row_bytes(self.inputs) / _GB

    def volume_gb(self) -> float:
        """For the rows of one month; at least what makes gp3 fast."""
        return max(400.0, self.database_gb() * self.inputs["database_headroom"])

    def originals_gb(self, months: float = 1) -> float:
        """What is stored after that many months."""
        return self.images * months * self.inputs["original_bytes"] / _GB

    def bill(self) -> dict[str, float]:
        """$ of the first month with everything that came in it kept to its end, as if it had been there all the time."""
        i = self.inputs
        hours = MONTH_S / 3600
        millions = self.images / _MILLION
        prepared_gb = self.rate * 2 * 86_400 * i["prepared_bytes"] / _GB
        return {
            "workers (CPU inference)": self.machines * i["worker"] * hours,
            "database, two zones": 2
            * (self.database_vcpus * i["database_vcpu"] * hours + self.volume_gb() * i["database_gb"]),
            "SQS requests": (self.images * self.calls + self.idle_calls) / _MILLION * i["sqs"],
            "S3 requests": millions * 2 * (i["s3_put"] + i["s3_get"]),
            "S3 storage: originals": standard(i, self.originals_gb()),
            "S3 storage: prepared, 2 days": prepared_gb * i["s3_standard"],
            "load balancer": hours * i["balancer_hour"] + self.originals_gb() * i["balancer_gb"],
            "between zones": self.images * i["wal_bytes"] / 2 / _GB * i["zone_gb"],
        }

    def growth(self) -> float:
        """$ by which each further month is dearer while nothing is deleted (S3 Standard, rows in RDS)."""
        more_rows = 2 * self.database_gb() * self.inputs["database_headroom"] * self.inputs["database_gb"]
        return standard(self.inputs, self.originals_gb(2)) - standard(self.inputs, self.originals_gb()) + more_rows

    def days_until(self, gib: float) -> float:
        """Rows fill that much of the database's volume."""
        return gib * 2**30 / (self.rate * row_bytes(self.inputs)) / 86_400


def box_cores(inputs: Inputs, rate: float) -> float:
    """Of one machine with everything on it and the pictures in S3, at the load that was chosen."""
    measured = sum(inputs[f"{stage}_ms"] for stage in STAGES) + inputs["box_postgres_ms"]
    calls = ("put_original", "get_original", "put_prepared", "get_prepared", "delete_prepared", "encode", "decode")
    return rate * (measured + sum(inputs[f"{call}_ms"] for call in calls)) / 1000 / inputs["load"]


def box_bill(inputs: Inputs, rate: float, *, s3: bool) -> dict[str, float]:
    """$ of a month of one machine with everything on it, the originals of that month on its disk or in S3."""
    size = Size(inputs, rate)
    rows = size.database_gb() * inputs["database_headroom"] * inputs["disk_gb"]
    bill = {"machine": inputs["box"] * MONTH_S / 3600, "disk: rows": rows}
    if not s3:
        return bill | {"disk: originals": size.originals_gb() * inputs["disk_gb"]}
    return bill | {name: cost for name, cost in size.bill().items() if name.startswith("S3 ")}


def standard(inputs: Inputs, gb: float) -> float:
    """$ a month in S3 Standard; larger stores are cheaper by tiers."""
    first, second = min(gb, 50_000), min(max(0.0, gb - 50_000), 450_000)
    price = inputs["s3_standard"]
    return first * price + second * (price - 0.001) + max(0.0, gb - 500_000) * (price - 0.002)


def row_bytes(inputs: Inputs) -> float:
    """In Postgres for one inspection, indexes included, ten detections."""
    return float(sum(sum(table.values()) for table in inputs.database["bytes_per_image"].values()))


@dataclass(frozen=True)
class Gpu:
    """A machine with one GPU, and what stands in its way."""

    device: float  #: images/s of the GPU
    host: float  #: images/s that its cores can feed: read, expand, delete, SQS
    dollars: float  #: for a million images at the load that was chosen

    @property
    def images_per_s(self) -> float:
        """Whichever is less."""
        return min(self.device, self.host)


def host_ms(inputs: Inputs) -> float:
    """Core-milliseconds of the inference stage for each image without the engine and its head, full calls."""
    around = inputs["get_prepared_ms"] + inputs["decode_ms"] + inputs["delete_prepared_ms"]
    return around + (inputs["receive_ms"] + inputs["delete_ms"] + inputs["send_ms"]) / inputs["sqs_batch"]


def gpu(inputs: Inputs, device: float) -> Gpu:
    """`device`: images/s that `framegate bench` printed there."""
    host = _GPU_VCPUS * 1000 / host_ms(inputs)
    return Gpu(device, host, inputs["gpu"] / 3600 / (min(device, host) * inputs["load"]) * _MILLION)


def cpu_dollars(inputs: Inputs) -> float:
    """For a million images: the inference stage on CPUs, engine and the work around it with full calls."""
    core_s = (inputs["inference_ms"] + host_ms(inputs)) / 1000 / inputs["load"]
    return core_s * inputs["worker"] / _WORKER_VCPUS / 3600 * _MILLION


def break_even(inputs: Inputs) -> float:
    """Images/s of a GPU above which it is cheaper than CPUs."""
    return inputs["gpu"] / 3600 / inputs["load"] * _MILLION / cpu_dollars(inputs)
