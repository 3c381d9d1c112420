"""What the stages learn about one image, in the order in which they learn it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from framegate.kernel.detections import Detections
from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.ids import CameraId, FacilityId, ImageId
from framegate.kernel.states import CameraStatus, ImageState, Lane, Verdict


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What was recorded when the image was accepted; only `camera_faults` is of the moment."""

    facility: FacilityId
    image_id: ImageId
    camera: CameraId
    camera_status: CameraStatus
    lane: Lane
    blob_key: str
    media_type: str
    sha256: str
    size_bytes: int
    width: int  #: as stored in the file, before EXIF orientation
    height: int
    orientation: int  #: EXIF, 1..8
    received_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)  #: what the sender said of the image
    camera_faults: tuple[str, ...] = ()  #: what its camera suffers from when the gate claims the image; else empty


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of the decoded frame at the size of the model's input; `flags` say what is doubtful about it."""

    sharpness: float  #: variance of the Laplacian of the luma
    exposure: float  #: mean luma, 0..255
    contrast: float  #: standard deviation of the luma
    clipped_dark: float  #: share of pixels with luma <= 4
    clipped_bright: float  #: share of pixels with luma >= 251
    flags: tuple[str, ...] = ()  #: too-dark, too-bright, blurred, flat, noise, small
    #: How much the mean blue and the mean red exceed the mean luma; None: measured by an older release.
    tint: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Numbers are rounded to four digits: they are measures, not keys."""
        numbers = ("sharpness", "exposure", "contrast", "clipped_dark", "clipped_bright")
        measures = {name: round(float(getattr(self, name)), 4) for name in numbers} | {"flags": list(self.flags)}
        return measures | ({"tint": [round(value, 2) for value in self.tint]} if self.tint else {})

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reverses `to_json`; what a newer release adds is left alone."""
        known = {name: value for name, value in raw.items() if name in cls.__slots__}
        return cls(**known | {"flags": tuple(raw["flags"]), "tint": tuple(raw["tint"]) if raw.get("tint") else None})


@dataclass(frozen=True, slots=True)
class Scene:
    """What tells whether a camera still sees, and the same place as before; 8 x 8 tiles, row by row."""

    tiles: bytes  #: a checksum of each tile's luma
    layout: bytes  #: each tile's mean luma

    def to_json(self) -> dict[str, Any]:
        """In hexadecimal digits."""
        return {"tiles": self.tiles.hex(), "layout": self.layout.hex()}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reverses `to_json`."""
        return cls(bytes.fromhex(raw["tiles"]), bytes.fromhex(raw["layout"]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """The prepared frame: content rows only (no padding), RGB uint8, under `blob_key`."""

    blob_key: str
    codec: str  #: raw | zstd
    letterbox: Letterbox
    quality: Quality
    recipe: dict[str, Any]  #: decoder and its version, scale denominator, orientation applied, resampling
    scene: Scene | None = None  #: None: prepared by an older release

    def to_json(self) -> dict[str, Any]:
        """For the image's progress row and, later, its outcome."""
        quality = self.quality.to_json()
        # Beside the others: releases before it refuse measures that they do not know.
        beside = {"scene": self.scene and self.scene.to_json(), "tint": quality.pop("tint", None)}
        return {
            "blob_key": self.blob_key,
            "codec": self.codec,
            "letterbox": self.letterbox.to_json(),
            "quality": quality,
            "recipe": self.recipe,
        } | {name: value for name, value in beside.items() if value is not None}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Reverses `to_json`."""
        letterbox, quality = Letterbox.from_json(raw["letterbox"]), {**raw["quality"], "tint": raw.get("tint")}
        scene = Scene.from_json(raw["scene"]) if raw.get("scene") else None
        return cls(raw["blob_key"], raw["codec"], letterbox, Quality.from_json(quality), raw["recipe"], scene)


@dataclass(frozen=True, slots=True)
class Label:
    """A classifier's name for one detection, or for the whole frame."""

    detection: int | None  #: its place among the image's detections, from 0; None: the whole frame
    model: str  #: name@version of the classifier
    name: str  #: the class
    confidence: float


@dataclass(frozen=True, slots=True)
class Inspected:
    """The engine looked at the frame, and after it the chain of its camera."""

    detections: Detections
    classes: tuple[str, ...]  #: name of each detection's class, in the order of `detections`
    model: str  #: name@version
    model_sha256: str
    engine: str  #: runtime, version and precision
    labels: tuple[Label, ...] = ()  #: model by model, each in the order of `detections`
    chained: tuple[str, ...] = ()  #: models of the chain that named all they had to; the others could not


@dataclass(frozen=True, slots=True)
class Refused:
    """The image itself is at fault: it ends as `rejected`."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """We could not inspect it: it ends as `failed`, and people are told."""

    reason: str  #: poison, exhausted, input-missing, integrity, engine-output
    detail: str
    model: str | None = None  #: name@version, where it is the model's fault; as are the next two
    model_sha256: str | None = None
    engine: str | None = None


Finding = Inspected | Refused | Failed


#: The reason of an outcome whose second look came to nothing.
LOOK_FAILED: Final = "second-look-failed"


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What an image was inspected as before the gate asked for another look at a part of it."""

    found: Inspected
    prepared: Prepared
    region: Region  #: what is looked at again


@dataclass(frozen=True, slots=True)
class Alert:
    """Something people must hear of; waits in the outbox, written with what caused it."""

    rule: str  #: its name in the policy; camera: the one about faults of cameras
    severity: str  #: critical, warning
    subject: str  #: what it is about, the grouping key
    summary: str  #: one sentence
    window_s: float = 1800.0  #: its incident is over when nothing of the same rule and subject came for this long
    escalate_after_s: float | None = 900.0  #: told again where nobody acknowledged it for this long; None: never
    over: bool = False  #: what it is about has passed: its incident ends instead of growing


@dataclass(frozen=True, slots=True)
class Look:
    """One of several looks that an outcome rests on, as people are told of it."""

    region: tuple[int, int, int, int] | None  #: x1, y1, x2, y2 of the upright original; None: all of it
    zoom: float | None  #: pixels of the model's input for one of the original; None: the look did not get that far
    said: str  #: what came of this look alone, in words
    model: str | None = None
    model_sha256: str | None = None
    engine: str | None = None
    #: (class, confidence, box): everything that was found
    seen: tuple[tuple[str, float, tuple[float, float, float, float]], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an image ended. `verdict` is set exactly when `state` is decided."""

    state: ImageState
    verdict: Verdict | None
    reason: str  #: stable slug
    detail: str  #: one sentence that a person understands
    policy_version: int
    alerts: tuple[Alert, ...] = field(default=())
    looks: tuple[Look, ...] = ()  #: the first and the second, where there were two
    found: Inspected | None = None  #: what it rests on, where that is not simply what the claim's finding says
    weight: float = 0.5  #: uncertainty x severity of what is left to people, see `kernel.reviews.weigh`

    def __post_init__(self) -> None:
        """Refuses a verdict without a decision and a decision without a verdict."""
        if (self.verdict is not None) != (self.state is ImageState.DECIDED):
            raise ValueError(f"state {self.state} with verdict {self.verdict}")
