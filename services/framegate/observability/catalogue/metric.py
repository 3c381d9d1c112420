"""What an entry of the catalogue is, and what its labels may be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]
#: Who writes a metric: the code as things happen, whoever is asked at each scrape, or prometheus_client by itself.
Source = Literal["code", "scrape", "client"]

#: From a millisecond to a minute; 0.3 s is the objective for accepting an upload.
SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
#: Powers of two, for counts of things handled together.
SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
#: 16 KiB to 64 MiB.
BYTES: Final = tuple(float(2**exponent) for exponent in range(14, 27, 2))
#: Shares and confidences.
RATIOS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
RECEIVES: Final = (1.0, 2.0, 3.0, 5.0, 10.0)
COUNTS: Final = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
#: Variance of the Laplacian, whose distribution has a long tail.
SHARPNESS: Final = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
#: 0..255.
LUMA: Final = (8.0, 16.0, 32.0, 48.0, 64.0, 96.0, 128.0, 160.0, 192.0, 224.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry. Names follow the Prometheus conventions: base units, `_total` for counters."""

    name: str
    kind: Kind
    unit: str  #: what one stands for: images, seconds, bytes, ratio (0..1), flag (0 or 1), info (always 1)
    labels: tuple[str, ...]
    meaning: str
    remedy: str
    buckets: tuple[float, ...] = ()
    source: Source = "code"


#: What each label holds and what bounds the number of its values: none grows with images, people or time.
LABELS: Final[Mapping[str, str]] = {
    "area": "uploads, api, pages, live",
    "camera": "FACILITY/CAMERA; those beyond FRAMEGATE_METRICS__CAMERAS are other",
    "cause": "closed set of the metric",
    "change": "kinds of changes of incidents, or began and ended",
    "class": "classes of the models that serve; those beyond 64 are other",
    "decision": "what reviewers can say, and refused",
    "dependency": "database, queue, blobs",
    "end": "accepted, decided, rejected, failed, in_flight, lost",
    "ending": "how attempts end: released, dependency, error, crash",
    "engine": "runtime, version and precision of an engine that runs",
    "fault": "faults of cameras (docs/cameras.md)",
    "feature": "what drift compares (docs/drift.md)",
    "field": "the named metadata of uploads (docs/uploads.md)",
    "flag": "doubts about a picture, and none",
    "generation": "0, 1, 2",
    "gpu": "index of the device as nvidia-smi has it; only those of CUDA_VISIBLE_DEVICES",
    "implementation": "of Python: CPython",
    "kind": "kinds of hooks, or of reuse",
    "lane": "live, bulk",
    "level": "debug, info, warning, error",
    "major": "of Python's version",
    "minor": "of Python's version",
    "model": "NAME@VERSION of models that serve",
    "operation": "methods of the port that was called",
    "part": "original, metadata",
    "patchlevel": "of Python's version",
    "prefix": "spool, prepared",
    "presence": "present, missing",
    "process": "processes of a box: api, gate, alerts, preprocess, and an inference-N for each core",
    "python": "version of Python",
    "queue": "the pipeline's queues, live and bulk; of dead letters also FRAMEGATE_EVENTS__QUEUE",
    "reason": "closed set of slugs (docs/api.md, docs/policy.md)",
    "result": "closed set of the metric",
    "role": "incumbent, canary, shadow",
    "route": "template of a route, such as /v1/images/{image_id}; other for what is none",
    "stage": "ingest, preprocess, inference, gate, alerts, sweep",
    "state": "closed set of the metric",
    "status": "HTTP status codes that we answer with",
    "step": "receive, claim, load, handle, settle",
    "subject": "a camera or a model; the hundred with the largest scores",
    "subject_kind": "camera, model",
    "verdict": "pass, fail, review, or empty",
    "version": "version of Framegate; of Python in python_info",
    "volume": "data, and model_cache where that is set",
    "work": "kinds of housekeeping",
}
