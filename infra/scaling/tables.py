"""The tables of docs/scaling.md. Dollars are rounded to whole ones, for a million images to cents."""

import math
from collections.abc import Callable, Iterable
from typing import Final

from model import (
    INFERENCE_WINDOW,
    MONTH_S,
    STAGES,
    Inputs,
    Size,
    box_bill,
    box_cores,
    break_even,
    cpu_dollars,
    gpu,
    row_bytes,
    standard,
)

RATES: Final = (10, 200, 2_000)
_BILLION: Final = 1e9


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Markdown."""
    lines = [tuple(heads)]
    lines.append(("---",) * len(lines[0]))
    lines += [tuple(map(str, row)) for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def dollars(value: float) -> str:
    """Whole ones."""
    return f"${value:,.0f}"


def number(value: float) -> str:
    """As it was given or measured."""
    return f"{value:,.0f}" if value == int(value) and value >= 1000 else f"{value:g}"


def sizes(i: Inputs) -> str:
    """For the decision."""
    small, middle, large = (Size(i, rate) for rate in RATES)
    cores = (box_cores(i, RATES[0]), middle.cores, large.cores)
    bills = [box_bill(i, RATES[0], s3=True), middle.bill(), large.bill()]
    totals = [sum(bill.values()) for bill in bills]
    millions = [size.images / 1e6 for size in (small, middle, large)]
    growth = [standard(i, small.originals_gb()) + bills[0]["disk: rows"], middle.growth(), large.growth()]
    stored = ("S3 requests", "S3 storage: originals", "S3 storage: prepared, 2 days", "load balancer")
    shares = [sum(bill.get(name, 0) for name in stored) / total for bill, total in zip(bills, totals, strict=True)]
    database = ["embedded"] + [f"RDS, {size.database_vcpus} vCPU, standby" for size in (middle, large)]
    machines = ["1 c7a.xlarge"] + [f"{size.machines} c7a.2xlarge" for size in (middle, large)]
    rows = [
        ("images a month (730 h)", *(f"{m:,.0f} million" for m in millions)),
        ("machines (inference on CPUs)", *machines),
        ("cores that they need", *(f"{needed:.1f}" for needed in cores)),
        ("database", *database),
        ("queue; pictures", "Postgres; S3", "SQS; S3", "SQS; S3"),
        ("**dollars a month**, first", *(f"**{dollars(total)}**" for total in totals)),
        ("for a million images", *(f"${t / m:.2f}" for t, m in zip(totals, millions, strict=True))),
        ("pictures: requests, storage, carrying", *(f"{share:.0%}" for share in shares)),
        ("each further month costs more by", *(dollars(more) for more in growth)),
        ("a billion inspections after", *(f"{1000 / m:,.1f} months" for m in millions)),
    ]
    return table(("", *(f"{rate:,} images/s" for rate in RATES)), rows)


def bill(i: Inputs) -> str:
    """Where the dollars go."""
    parts = [Size(i, rate).bill() for rate in RATES[1:]]
    millions = Size(i, RATES[2]).images / 1e6
    rows = [
        (name, dollars(parts[0][name]), dollars(parts[1][name]), f"${parts[1][name] / millions:.2f}")
        for name in parts[0]
    ]
    return table(("$ a month", "200 images/s", "2,000 images/s", "for a million, at 2,000/s"), rows)


def inputs(i: Inputs) -> str:
    """All of them, with where each is from."""
    rows: dict[str, list[str]] = {}
    for row in i.raw["measured"].values():
        file = f"measured: [{row['file']}](benchmarks/{row['file']})"
        rows.setdefault(file, []).append(f"{row['what']} **{number(row['value'])}** {row['unit']}")
    for kind in ("settings", "choices"):
        rows[kind] = [f"{row['what']} **{number(row['value'])}** {row['unit']}".strip() for row in i.raw[kind].values()]
    rows["AWS quotas"] = [
        f"[{row['unit']}]({row['page']}) **{number(row['value'])}**" for row in i.raw["limits"].values()
    ]
    for row in i.raw["prices"].values():
        page = f"list price: [{row['page'].split('/')[3]}]({row['page']})"
        rows.setdefault(page, []).append(f"{row['unit']} **{row['value']:g}** ({row['seen']})")
    return table(("input", ""), ((name, "; ".join(values)) for name, values in rows.items()))


def workers(i: Inputs) -> str:
    """Core-milliseconds, and processes at each rate."""
    all_sizes = [Size(i, rate) for rate in RATES]
    rows = []
    for stage in STAGES:
        box = i[f"{stage}_ms"]
        counts = (f"{s.cpu_ms[stage]:.1f} · {s.processes[stage]}" for s in all_sizes)
        rows.append((f"`{stage}`" if stage != "api" else "`ingest` (API)", f"{box:.1f}", *counts))
    totals = (f"{sum(s.cpu_ms.values()):.1f} · {s.cores:.1f} cores" for s in all_sizes)
    rows.append(("sum", f"{sum(i[f'{stage}_ms'] for stage in STAGES):.1f}", *totals))
    database = (f"{s.database_ms:.1f} · {s.database_vcpus} vCPU" for s in all_sizes)
    rows.append(("Postgres", f"{i['box_postgres_ms']:.1f}", *database))
    return table(("core-ms · processes", "one box", *(f"{rate:,}/s" for rate in RATES)), rows)


def calls(i: Inputs) -> str:
    """SQS requests for each image."""
    rows: list[tuple[object, ...]] = []
    for rate in RATES:
        size = Size(i, rate)
        fills = (f"{hop.sent:.1f} · {hop.received:.1f} · {hop.deleted:.1f}" for hop in size.hops)
        cost = (size.calls + size.idle_calls / size.images) * i["sqs"]
        rows.append(
            (f"{rate:,}/s", *fills, f"{size.calls:.2f}", f"${cost:.2f}", f"${size.asleep_calls / 1e6 * i['sqs']:.2f}")
        )
    full = 9 / i["sqs_batch"]
    rows.append(("every call full", *["10 · 10 · 10"] * 3, f"{full:.2f}", f"${full * i['sqs']:.2f}", ""))
    rows.append(("none shared", *["1 · 1 · 1"] * 3, "9.00", f"${9 * i['sqs']:.2f}", ""))
    hops = ("to `preprocess`", "to `inference`", "to `gate`")
    return table(("sent · received · deleted", *hops, "calls/image", "$/million", "$ of a month asleep"), rows)


def linger(i: Inputs) -> str:
    """What waiting longer saves at the highest rate."""
    rows = []
    for milliseconds in (20, 100, 200, 500):
        i.raw["settings"]["linger_s"]["value"] = milliseconds / 1000
        size = Size(i, RATES[2])
        rows.append(
            (
                milliseconds,
                f"{size.calls:.2f}",
                dollars(size.bill()["SQS requests"]),
                f"{size.cores:.0f}",
                size.database_vcpus,
            )
        )
    i.raw["settings"]["linger_s"]["value"] = 0.2
    return table(("`LINGER_MS`, at 2,000/s", "calls/image", "SQS, $ a month", "worker cores", "database vCPU"), rows)


def storage(i: Inputs) -> str:
    """A million images in S3."""
    originals, prepared = i["original_bytes"] / 1e3, i["prepared_bytes"] / 1e3  # GB for a million
    presigned = i["s3_put"] + i["s3_get"] + 3 * i["sqs"]
    rows = [
        ("PUT original, PUT prepared (DELETE is free)", "2 x PUT", f"${2 * i['s3_put']:.2f}"),
        ("GET original, GET prepared", "2 x GET", f"${2 * i['s3_get']:.2f}"),
        (
            "prepared frames, 2 days",
            f"{prepared:,.0f} GB x 2/30.4 months",
            f"${prepared * 2 * 86400 / MONTH_S * i['s3_standard']:.2f}",
        ),
        ("originals, each month in Standard", f"{originals:,.0f} GB", f"${originals * i['s3_standard']:.2f}"),
        ("originals, each month in Glacier IR", f"{originals:,.0f} GB", f"${originals * i['s3_archive']:.2f}"),
        ("moving them there, once", "a transition each", f"${i['s3_transition']:.2f}"),
        (
            "they stay there longer for it to pay",
            f"{i['s3_transition'] / originals / (i['s3_standard'] - i['s3_archive']):.1f} months",
            "",
        ),
        ("load balancer in front of the API", f"{originals:,.0f} GB", f"${originals * i['balancer_gb']:.2f}"),
        ("instead: presigned upload", "PUT, GET, 3 SQS calls more", f"${presigned:.2f}"),
    ]
    return table(("a million images", "", "$"), rows)


def gpus(i: Inputs) -> str:
    """As a function of what one does."""
    rows: list[tuple[object, ...]] = []
    for device in (200, i["gpu_images_per_s"], 1000):
        one = gpu(i, device)
        counts = (max(2, math.ceil(rate / (one.images_per_s * i["load"]))) for rate in RATES[1:])
        label = f"{device:,.0f}" + (" (the worked example, **assumed**)" if device == i["gpu_images_per_s"] else "")
        rows.append((label, f"{one.images_per_s:.0f}", *counts, f"${one.dollars:.2f}"))
    pays = f"no GPU: c7a.2xlarge (a GPU is cheaper from T = {break_even(i):.0f} on)"
    rows.append((pays, "", "", "", f"${cpu_dollars(i):.2f}"))
    heads = (
        "T, images/s of one GPU",
        "of one g6.xlarge",
        "GPUs at 200/s",
        "at 2,000/s",
        "$/million, stage `inference`",
    )
    return table(heads, rows)


def rows_of_a_billion(i: Inputs) -> str:
    """Each table, with ten detections an image."""
    sizes_of, rows = i.database["bytes_per_image"], []
    largest = sorted(i.database["index_bytes_per_image"].items(), key=lambda item: -item[1])
    for name, size in sorted(sizes_of.items(), key=lambda item: -sum(item[1].values())):
        of_it = [f"`{index}` {b:.0f}" for index, b in largest if index.startswith(name) and b >= 40]
        whole = sum(size.values())
        each_of_it = (f"{size['table']:,.0f}", f"{size['indexes']:,.0f}", f"{whole * _BILLION / 1e12:.2f} TB")
        rows.append((f"`{name}`", *each_of_it, ", ".join(of_it)))
    total = row_bytes(i)
    none = sum(sum(size.values()) for size in i.without_detections["bytes_per_image"].values())
    cost = 2 * total * i["database_headroom"] * i["database_gb"]
    summary = (
        f"with d detections {none:,.0f} + {(total - none) / 10:.0f} d; RDS with a standby: {dollars(cost)} a month"
    )
    rows.append(("**sum**", "", f"**{total:,.0f}**", f"**{total * _BILLION / 1e12:.2f} TB**", summary))
    return table(("bytes an inspection", "rows", "indexes", "a billion", "indexes above 40 bytes"), rows)


def breaks(i: Inputs) -> str:
    """How much of each limit is used."""
    all_sizes = [Size(i, rate) for rate in RATES]

    def row(what: str, limit: float, use: Callable[[Size], float], unit: str = "") -> tuple[str, ...]:
        return what, f"{limit:,.0f}{unit}", *(f"{use(s):,.0f} ({use(s) / limit:.0%})" for s in all_sizes)

    def filled_after(gib: float) -> tuple[str, ...]:
        return tuple(f"after {s.days_until(gib):,.1f} days" for s in all_sizes)

    rows = [
        row("S3 PUT and DELETE/s in `prepared/`", i["s3_writes"], lambda s: 2 * s.rate),
        row("S3 PUT/s in `originals/`", i["s3_writes"], lambda s: s.rate),
        row(
            "SQS in flight, `frame-prepared-live`",
            i["sqs_in_flight"],
            lambda s: INFERENCE_WINDOW * s.processes["inference"],
        ),
        row("connections to Postgres, pools full", i["connections"], lambda s: i["pool"] * sum(s.processes.values())),
        row("WAL, MiB/s of the volume", i["database_mib_s"], lambda s: s.rate * i["wal_bytes"] / 2**20),
        ("MB/s in and out of each machine", "not looked up", *(f"{_network(s):,.0f}" for s in all_sizes)),
        ("commits/s (on the cluster's disk)", "not measured", *(f"{s.commits_per_s:,.0f}" for s in all_sizes)),
        (
            "`database_max_storage_gib` is full of rows",
            f"{i['database_max_gib']:.0f} GiB",
            *filled_after(i["database_max_gib"]),
        ),
        ("the largest RDS volume is", f"{i['database_tib']:.0f} TiB", *filled_after(i["database_tib"] * 1024)),
        ("the sweeper's count takes a minute", "", *(_count_days(i, s, 60) for s in all_sizes)),
        (
            "the sweeper's count times out",
            f"{i['conservation_timeout_s']:.0f} s",
            *(_count_days(i, s, i["conservation_timeout_s"]) for s in all_sizes),
        ),
    ]
    return table(("limit", "", *(f"{rate:,}/s" for rate in RATES)), rows)


def _network(size: Size) -> float:
    """The original from the camera, to S3 and back; the prepared frame to S3 and back."""
    carried = 3 * size.inputs["original_bytes"] + 2 * size.inputs["prepared_bytes"]
    return size.rate * carried / 1e6 / size.machines


def _count_days(i: Inputs, size: Size, seconds: float) -> str:
    images = seconds / i["conservation_us"] * 1e6
    return f"after {images / size.rate / 86400:,.1f} days ({images / 1e6:,.0f} million)"


TABLES: Final[dict[str, Callable[[Inputs], str]]] = {
    "sizes": sizes,
    "bill": bill,
    "workers": workers,
    "calls": calls,
    "linger": linger,
    "storage": storage,
    "gpus": gpus,
    "rows": rows_of_a_billion,
    "breaks": breaks,
    "inputs": inputs,
}
