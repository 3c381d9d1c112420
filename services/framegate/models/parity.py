"""Whether an engine sees what the reference sees, and what may be traded for speed: reduced precision, scaled decoding."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

from framegate.inference.answers import answers
from framegate.inference.choice import is_exact
from framegate.inference.fleet import Frame
from framegate.kernel.agreement import USUAL, Agreement, Tolerances, compare_all
from framegate.kernel.errors import ConfigurationError, FramegateError, ModelRefused
from framegate.kernel.manifest import ModelInput, ModelManifest
from framegate.ports.engine import Engine
from framegate.preprocess.direct import prepare_file
from framegate.starter import sample_frames

#: What decides how a processor rounds quantised and reduced arithmetic; virtual machines often hide its model.
_TELLING_FLAGS: Final = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16")
#: One picture that happens to come out alike shows nothing.
_ENOUGH_SCALED: Final = 20
_SUFFIXES: Final = frozenset((".jpg", ".jpeg", ".png"))


@dataclass(frozen=True, slots=True)
class Golden:
    """A picture on which engines are compared."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Three comparisons over the same pictures, and the decisions that follow from them."""

    model: str
    sha256: str
    reference: str  #: descriptions of the engines
    engine: str
    exact_engine: str | None  #: the same runtime in f32, where the engine itself is not
    machine: str
    date: date
    tolerances: Tolerances
    plain: Agreement  #: the engine against the reference
    exact: Agreement | None  #: the exact engine against the reference
    scaled: Agreement  #: the engine that may serve: scaled against full decoding
    scaled_images: int  #: how many of the pictures were large enough to be decoded at reduced scale
    rendered: bool  #: the pictures were the starter's renders, not photographs

    @property
    def agrees(self) -> bool:
        """Whether the runtime may serve the model at all, be it in f32. Without a single clear box nothing is known."""
        return self.plain.boxes > 0 and (self.plain.holds or (self.exact is not None and self.exact.holds))

    @property
    def precision(self) -> Literal["auto", "f32"] | None:
        """What the runtime may compute in: auto, what is fastest; None: reduced precision was not to be tested here."""
        if self.exact is None:
            return None
        return "auto" if self.plain.boxes and self.plain.holds else "f32"

    @property
    def scaled_decoding(self) -> bool:
        """Whether JPEG may be decoded at reduced scale; only 20 photographs or more, with boxes, can show it.

        Renders have none of the fine structure that libjpeg's reduced transform treats otherwise than resampling does.
        """
        return (
            not self.rendered and self.scaled_images >= _ENOUGH_SCALED and self.scaled.boxes > 0 and self.scaled.holds
        )

    @property
    def vouched(self) -> str:
        """The description of the engine that may serve, or that does not agree."""
        return self.exact_engine if self.precision == "f32" and self.exact_engine else self.engine

    def require_about(self, manifest: ModelManifest) -> None:
        """Raises `ModelRefused` for another model's."""
        if (self.model, self.sha256) != (manifest.ref, manifest.sha256):
            raise ModelRefused(f"the check is about {self.model}, sha256 {self.sha256[:12]}, not about {manifest.ref}")

    def for_manifest(self) -> dict[str, Any]:
        """[check] of a `model.toml`."""
        served = self.exact if self.exact is not None and self.precision == "f32" else self.plain
        measured = {
            "engine": served.to_json(),
            "reduced_precision": None if self.exact is None else self.plain.to_json(),
            "scaled_decoding": self.scaled.to_json() | {"images": self.scaled_images},
        }
        return {
            "engine": self.vouched,
            "agrees": self.agrees,
            "precision": self.precision,
            "reference": self.reference,
            "machine": self.machine,
            "images": self.plain.frames,
            "rendered": self.rendered,
            "date": self.date.isoformat(),
            "tolerances": asdict(self.tolerances),
            "measured": measured,
        }

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        decided = {"agrees": self.agrees, "precision": self.precision, "scaled_decoding": self.scaled_decoding}
        agreements = {"plain": self.plain, "exact": self.exact, "scaled": self.scaled}
        texts = asdict(self) | {"date": self.date.isoformat()}
        return texts | {name: one and one.to_json() for name, one in agreements.items()} | {"decisions": decided}


def golden_images(directory: Path | None = None) -> list[Golden]:
    """The starter's sample frames, or every JPEG and PNG below `directory`; raises `ConfigurationError`."""
    if directory is None:
        return [Golden(file.name, file.read_bytes()) for file in sample_frames()]
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is not a directory: give one that holds JPEG or PNG files")
    files = sorted(file for file in directory.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
    if not files:
        raise ConfigurationError(f"there is no JPEG and no PNG file in {directory}: give a directory that holds some")
    return [Golden(str(file.relative_to(directory)), file.read_bytes()) for file in files]


def machine_name() -> str:
    """The processor and what it can do that matters here, for people who compare checks."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in _TELLING_FLAGS if flag in facts.get("flags", "").split()]
    return " ".join([facts.get("model name", platform.machine()), *flags])


def check(
    manifest: ModelManifest,
    engine: Engine,
    reference: Engine,
    images: Sequence[Golden],
    *,
    exact: Engine | None = None,
    tolerances: Tolerances = USUAL,
    machine: str = "",
    rendered: bool = False,
) -> ParityReport:
    """Runs every picture through the pipeline's own preprocessing and all engines; they stay the caller's.

    `exact` is needed where `engine` is not in f32: the same runtime that is. Raises `EngineFault`, and
    `ConfigurationError` for a picture that the pipeline would refuse.
    """
    if exact is None and not is_exact(engine) and engine.description != reference.description:
        raise ValueError(f"{engine.description} needs the same engine in f32 beside it")
    full, _ = prepared(images, replace(manifest.input, scaled_decoding=False))
    small, scaled_images = prepared(images, replace(manifest.input, scaled_decoding=True))
    expected, found = answers(reference, manifest, full), answers(engine, manifest, full)
    plain, exact_agreement, serving = compare_all(expected, found, tolerances), None, engine
    if exact is not None:
        exact_found = answers(exact, manifest, full)
        exact_agreement = compare_all(expected, exact_found, tolerances)
        if not plain.holds:
            serving, found = exact, exact_found
    return ParityReport(
        model=manifest.ref,
        sha256=manifest.sha256,
        reference=reference.description,
        engine=engine.description,
        exact_engine=None if exact is None else exact.description,
        machine=machine,
        date=datetime.now(UTC).date(),
        tolerances=tolerances,
        plain=plain,
        exact=exact_agreement,
        scaled=compare_all(found, answers(serving, manifest, small), tolerances),
        scaled_images=scaled_images,
        rendered=rendered,
    )


def prepared(images: Sequence[Golden], model: ModelInput) -> tuple[list[Frame], int]:
    """The frames, by the pipeline's own preprocessing, and how many of them were decoded at reduced scale.

    Raises `ConfigurationError` with the picture's name.
    """
    frames: list[Frame] = []
    scaled = 0
    for image in images:
        try:
            content, box, denominator = prepare_file(image.data, model)
        except FramegateError as error:
            raise ConfigurationError(f"{image.name} cannot be compared on: {error} Take it out.") from error
        frames.append((content, box))
        scaled += denominator > 1
    return frames, scaled
