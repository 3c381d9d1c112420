"""Every setting, from the environment (`FRAMEGATE_*`, nested with `__`)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from framegate.kernel.addresses import Allowed, parse_allow
from framegate.kernel.camera_health import HealthLimits
from framegate.kernel.drift_state import DriftLimits
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.ids import DEFAULT_FACILITY, NAME_PATTERN

EngineName = Literal["auto", "openvino", "onnxruntime", "tensorrt", "torch"]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ApiSettings(_Group):
    """The HTTP API."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="what people type to get here, for links in messages and for cookies; default: http:// and host and port",
    )
    max_concurrent_uploads: int = Field(256, ge=1, description="uploads at a time; more are answered 503")
    rate_limit_per_s: float | None = Field(None, gt=0, description="requests/s of one key; empty: no limit")
    min_free_mb: int = Field(2048, ge=0, description="free disk space in MiB below which uploads are answered 503")
    max_backlog: int = Field(1_000_000, ge=1, description="images in flight above which uploads are answered 503")


class WorkerSettings(_Group):
    """What all queue workers share."""

    lease_s: float = Field(60, gt=0, description="how long a message and its claim are held between renewals, seconds")
    poll_s: float = Field(1, ge=0, le=20, description="how long one receive waits for messages, seconds")
    drain_s: float = Field(20, gt=0, description="how long a stopping worker may take to finish, seconds")
    max_attempts: int = Field(5, ge=1, description="failed attempts before a message goes to the dead letters")
    last_attempt: int = Field(10, ge=1, description="failed attempts before an image ends as failed")
    host: str = Field("127.0.0.1", description="where processes serve /metrics, /healthz and /readyz")
    port: int = Field(0, ge=0, le=65535, description="the port for that, which is not the API's; 0: any free one")


class PreprocessSettings(_Group):
    """Decoding and preparing."""

    children: int = Field(2, ge=1, description="decoder child processes of one worker")
    codec: Literal["auto", "raw", "zstd"] = Field(
        "auto", description="prepared frames; auto: raw in the data directory, zstd on S3"
    )
    prefetch: int = Field(24, ge=0, description="originals read ahead of the decoders")
    child: str = Field(
        "framegate.preprocess.child", description="module that decodes; another one only for fault drills"
    )


class InferenceSettings(_Group):
    """The engine."""

    max_batch: int = Field(4, ge=1, le=256, description="the most frames inferred together, where that is faster")
    max_wait_ms: float = Field(0, ge=0, description="how long a first frame may wait for others, milliseconds")
    prefetch: int = Field(12, ge=0, description="frames loaded beyond the running batch")
    threads: int = Field(1, ge=1, description="CPU threads of one engine; one process per core is faster than threads")
    precision: Literal["auto", "f32"] = Field("auto", description="auto: what the CPU is fastest at; f32: exact")


class GateSettings(_Group):
    """Deciding."""

    max_batch: int = Field(64, ge=1)


class MetricsSettings(_Group):
    """What every process serves at /metrics."""

    cameras: int = Field(200, ge=1, description="how many cameras have labels of their own; the others are 'other'")


class SweepSettings(_Group):
    """Bringing back what was lost."""

    every_s: float = Field(5, gt=0)
    overdue_s: float = Field(60, gt=0, description="seconds without progress after which an image is sent again")
    conservation_every_s: float = Field(30, gt=0)
    leftovers_after_h: float = Field(24, gt=0)


class CanarySettings(_Group):
    """When a canary is taken back."""

    min_images: int = Field(100, ge=1, description="images of either model before a canary is judged")
    failed: float = Field(
        0.02, ge=0, le=1, description="share of failed images above the incumbent's that ends a canary"
    )
    latency: float = Field(1.5, ge=1, description="times the incumbent's inference time that ends a canary")
    verdicts: float = Field(0.15, ge=0, le=1, description="difference in the share of a verdict that ends a canary")


class CameraSettings(_Group):
    """When a camera has a fault."""

    warm_up: int = Field(50, ge=2, description="frames until what is usual for a camera is known")
    frozen_frames: int = Field(10, ge=2, description="the same picture so often in a row is a frozen camera")
    frozen_s: float = Field(30, ge=0, description="and for at least this long, seconds")
    silent_s: float = Field(600, ge=1, description="shortest silence that may be a fault, seconds")
    recovery: int = Field(10, ge=1, description="good frames in a row that end a fault")

    @property
    def limits(self) -> HealthLimits:
        """With what is no setting."""
        return HealthLimits(
            warm_up=self.warm_up,
            frozen_frames=self.frozen_frames,
            frozen_s=self.frozen_s,
            silent_least_s=self.silent_s,
            recovery=self.recovery,
        )


class DriftSettings(_Group):
    """When a camera or a model is not what it was."""

    window_images: int = Field(150, ge=20, description="images that are compared together, at least")
    window_s: float = Field(300, ge=0, description="and the time that they must span, seconds")
    learn_days: float = Field(7, gt=0, description="days from which is learnt what is usual, at least")
    learn_images: int = Field(1500, ge=200, description="and images, at least")
    effect: float = Field(0.2, gt=0, description="PSI beyond that of usual windows that is drift")
    rate: float = Field(0.01, gt=0, le=0.5, description="false discoveries among what stands out in one window")
    hits: int = Field(2, ge=1, description="windows of the last three that must stand out")
    keep_days: int = Field(
        400,
        ge=1,
        description="days for which what is over is kept, and what was learnt of who is not seen",
    )

    @property
    def limits(self) -> DriftLimits:
        """With what is no setting."""
        return DriftLimits(
            window_images=self.window_images,
            window_s=self.window_s,
            learn_s=self.learn_days * 86_400,
            learn_images=self.learn_images,
            effect=self.effect,
            rate=self.rate,
            hits=self.hits,
        )


class ReviewSettings(_Group):
    """The review desk."""

    sample: float = Field(0, ge=0, le=1, description="share of automatic passes that people check blindly; 0: none")
    lease_s: float = Field(300, gt=0, description="how long an image stays with a reviewer who does nothing, seconds")
    undo_s: float = Field(
        30, ge=0, description="how long a decision can be taken back; what follows from it waits as long, seconds"
    )


class QueueSettings(_Group):
    """Where messages wait."""

    kind: Literal["postgres", "sqs"] = Field("postgres", description="postgres: in the database; sqs: Amazon SQS")
    prefix: str = Field(
        "framegate-", pattern=r"^[A-Za-z0-9_-]{0,40}$", description="SQS: put before the name of every queue"
    )
    polls: int = Field(16, ge=1, le=256, description="SQS: receives of one worker at a time, when messages wait")
    poll_s: int = Field(10, ge=1, le=20, description="SQS: how long a receive waits for messages, seconds")
    linger_ms: float = Field(
        200, ge=0, le=1000, description="SQS: pause between two calls for a queue that are not full, milliseconds"
    )


class BlobSettings(_Group):
    """Where originals and prepared frames lie."""

    kind: Literal["local", "s3"] = Field("local", description="local: the data directory; s3: a bucket")
    bucket: str = Field("", description="S3: the bucket's name")
    prefix: str = Field("", pattern=r"^([A-Za-z0-9_-]+/)*$", description="S3: put before every key, ends with a slash")


class EventSettings(_Group):
    """Pictures that reach a bucket without the API."""

    queue: str = Field("", description="SQS queue (name or URL) that the buckets' events go to; empty: none is read")
    facility: str = Field(
        DEFAULT_FACILITY, pattern=NAME_PATTERN, description="the facility of objects that no upload was announced for"
    )


class HookSettings(_Group):
    """Where alerts may go."""

    allow: str = Field(
        "",
        description="receivers on the premises that hooks may reach, which only this opens: hosts, addresses or CIDRs, "
        "separated by commas, each with http:// in front for plain http and a port behind it if not 443 (http: 80)",
    )

    slots: int = Field(4, ge=1, le=64, description="messages on their way to one receiver at a time")

    @field_validator("allow")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_allow(value)
        return value

    @property
    def allowed(self) -> Allowed:
        """What `allow` opens."""
        return parse_allow(self.allow)


class TraceSettings(_Group):
    """OpenTelemetry traces of images."""

    endpoint: str = Field(
        "",
        pattern=r"^(https?://[^\s?#]+)?$",
        description="OTLP/HTTP URL of a collector, such as http://localhost:4318; empty: no traces",
    )
    sample: float = Field(
        0.01, ge=0, le=1, description="share of images that are traced, beside those whose camera asks for it"
    )
    cameras_per_s: float = Field(
        10, ge=0, description="images a second that each API process traces because their camera asks for it"
    )
    timeout_s: float = Field(
        5, gt=0, le=30, description="how long the collector may take for a batch of spans, seconds"
    )


class Settings(BaseSettings):
    """Immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix="FRAMEGATE_", env_nested_delimiter="__", extra="ignore", frozen=True, populate_by_name=True
    )

    data: Path = Field(Path(".framegate"), description="directory of the embedded box: images, database, keys")
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    database_url_file: Path | None = Field(None, validation_alias="DATABASE_URL_FILE")
    aws_region: str | None = Field(
        None,
        validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"),
        description="region of SQS and S3; boto3 reads AWS_ENDPOINT_URL, AWS_PROFILE and credentials itself",
    )
    model: str | None = Field(
        None,
        description="starter, the path of a model.toml, or NAME@VERSION; default: what serves, at first the starter",
    )
    model_cache: Path | None = Field(
        None, description="directory for weights; default: cache/models in the data directory"
    )
    engine: EngineName = "auto"
    pepper: SecretStr | None = Field(
        None, description="mixed into stored key hashes; default: a file in the data directory"
    )
    pepper_file: Path | None = None
    worker_name: str | None = Field(
        None, description="one for each process, the same after a restart; default: host, stage, pid"
    )
    cuda_visible_devices: str | None = Field(
        None,
        validation_alias="CUDA_VISIBLE_DEVICES",
        description="GPUs that inference may use; CUDA reads it itself, and metrics are of these alone; default: all",
    )
    parent: int | None = Field(None, description="set by the supervisor: end when this process ends")
    pin_cpu: int | None = Field(None, ge=0, description="run on one CPU only: of those it may use the n-th, from 0")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool | None = Field(None, description="default: JSON unless standard error is a terminal")
    api: ApiSettings = ApiSettings()
    worker: WorkerSettings = WorkerSettings()
    preprocess: PreprocessSettings = PreprocessSettings()
    inference: InferenceSettings = InferenceSettings()
    gate: GateSettings = GateSettings()
    sweep: SweepSettings = SweepSettings()
    canary: CanarySettings = CanarySettings()
    cameras: CameraSettings = CameraSettings()
    drift: DriftSettings = DriftSettings()
    reviews: ReviewSettings = ReviewSettings()
    queue: QueueSettings = QueueSettings()
    blobs: BlobSettings = BlobSettings()
    events: EventSettings = EventSettings()
    hooks: HookSettings = HookSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TraceSettings = TraceSettings()

    @classmethod
    def read(cls, **overrides: object) -> Self:
        """From the environment; `overrides` (from the command line) win. Raises `ConfigurationError`."""
        try:
            return cls(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = "FRAMEGATE_" + "__".join(str(part).upper() for part in first["loc"])
            raise ConfigurationError(f"the setting {name} is wrong: {first['msg']} (got {first['input']!r})") from None

    @property
    def database(self) -> str | None:
        """The database's URL when it is not the embedded one."""
        if self.database_url_file is not None:
            return self.database_url_file.read_text("utf-8").strip()
        return self.database_url.get_secret_value() if self.database_url else None

    def describe(self) -> Iterator[tuple[str, str, str]]:
        """(variable, value, meaning) of every setting; secrets stay hidden."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            alias = field.validation_alias
            alias = alias.choices[0] if isinstance(alias, AliasChoices) else alias
            variable = str(alias or f"FRAMEGATE_{name.upper()}")
            if not isinstance(value, _Group):
                yield variable, "" if value is None else str(value), field.description or ""
                continue
            for inner, inner_field in type(value).model_fields.items():
                inner_value = getattr(value, inner)
                shown = "" if inner_value is None else str(inner_value)
                yield f"{variable}__{inner.upper()}", shown, inner_field.description or ""

    @property
    def lease(self) -> timedelta:
        """The lease of messages and claims."""
        return timedelta(seconds=self.worker.lease_s)

    @property
    def public_url(self) -> str:
        """Where people reach the pages and the API, without a slash at its end."""
        host = self.api.host
        return (self.api.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.api.port}").rstrip("/")

    @property
    def codec(self) -> Literal["raw", "zstd"]:
        """Of prepared frames: on one host compressing costs more than writing, over a network it is the other way round."""
        if self.preprocess.codec == "auto":
            return "zstd" if self.blobs.kind == "s3" else "raw"
        return self.preprocess.codec
