"""`evaluate` and `calibrate`: how good a model is on labelled images, and thresholds that rest on them."""

import json as jsonlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from framegate.bootstrap import make_engine
from framegate.cli.common import DataOption, JsonOption, console, note, out, progress_bar
from framegate.cli.stores import manifest_of, stores_of
from framegate.gate.policy import Policy, document_from_manifest
from framegate.kernel.errors import FramegateError
from framegate.kernel.ids import DEFAULT_FACILITY
from framegate.settings import Settings

if TYPE_CHECKING:
    from framegate.models.calibration import Calibration
    from framegate.models.evaluation import Examined
    from framegate.models.metrics import Scores

LabelsOption = Annotated[
    Path,
    typer.Option("--labels", metavar="DIR", help="Labelled images: YOLO, Pascal VOC, COCO, or damaged/ and intact/"),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="REF", help="NAME@VERSION, a model.toml or its directory. Default: the starter"),
]
DefectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--defect", metavar="CLASS", help="A class that is damage; repeatable. Default: those with thresholds"
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(evaluate)
    app.command()(calibrate)


def evaluate(
    labels: LabelsOption,
    model: ModelOption = None,
    defect: DefectOption = None,
    json: JsonOption = False,
    data: DataOption = None,
) -> None:
    """Measures a model on labelled images, through the same code that inspects images on a box.

    With boxes (YOLO: images/ and labels/ with a data.yaml; Pascal VOC: .xml files; COCO: one .json): mAP50, mAP50-95,
    precision and recall of each class, and what is taken for what. With folders of whole images (damaged/, intact/, or a
    folder named after a class): how well the strongest detection tells them apart (AUC).

        framegate evaluate --labels dock-photos --model models/ours
    """
    examined = _examined(labels, Settings.read(model=model, data=data), defect)
    verdicts = examined.verdicts(Policy.parse(0, document_from_manifest(examined.manifest)))
    scores = None if examined.labels.image_level else examined.scores()
    if json:
        print(jsonlib.dumps(_report(examined, scores, verdicts), indent=2))
        return
    if scores is not None:
        out.print(_class_table(scores))
        out.print(_confusion_table(scores, examined.manifest.classes))
    auc = examined.auc()
    out.print("" if auc is None else f"AUC, damaged against intact, by the strongest detection of damage: {auc:.3f}")
    out.print(_verdict_table(verdicts, "with the thresholds that the model suggests"))


def calibrate(
    labels: LabelsOption,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the policy and the report go")] = Path(
        "calibration"
    ),
    model: ModelOption = None,
    miss_rate: Annotated[
        float, typer.Option("--miss-rate", metavar="RATE", help="Of images with a defect, missed at most so many")
    ] = 0.05,
    false_alarm_rate: Annotated[
        float, typer.Option("--false-alarm-rate", metavar="RATE", help="Of images without it, failed at most so many")
    ] = 0.05,
    defect: DefectOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Let the box in --data decide by the new policy")] = False,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Finds thresholds that bound how much is missed and how often a good image fails, from labelled images.

    Detections below 'review' do not count, from 'fail' on they fail the image, between the two people decide. The bounds
    hold for new images of the same kind (conformal risk control, arXiv:2208.02814), whatever the model. A rate of 0.05
    takes at least 19 labelled images with each class and 19 without; a set that is too small is refused. Label images that
    training has not seen.

        framegate calibrate --labels dock-photos --out calibration --miss-rate 0.05

    writes policy.yaml, calibration.json, the plots and report.html; with --apply --data DIR the box follows at once.
    """
    from framegate.models.calibration import calibrate as find_thresholds
    from framegate.models.calibration import policy_document
    from framegate.models.report import summarise, write_report

    settings = Settings.read(model=model, data=data)
    if apply:
        _check_box(settings)
    examined = _examined(labels, settings, defect)
    result = find_thresholds(examined, miss_rate, false_alarm_rate)
    first = document_from_manifest(examined.manifest)
    version, document, refused = None, policy_document(first, result, examined), None
    if apply:
        version, document, refused = _apply(
            settings, examined, lambda base: policy_document(base or first, result, examined)
        )
    verdicts = examined.verdicts(Policy.parse(version or 0, document))
    summary = summarise(examined, result, verdicts)
    files = write_report(out_dir, examined, result, document, summary)
    if json:
        print(jsonlib.dumps({**summary, "policy_version": version, "files": [str(file) for file in files]}, indent=2))
    else:
        out.print(_limit_table(result))
        out.print(_verdict_table(verdicts, "with these thresholds"))
        out.print(f"{summary['expected_per_1000']['review']:g} reviews expected in 1,000 images like these.")
        console.print(f"Read {out_dir / 'report.html'}.", soft_wrap=True)
    if refused is not None:
        console.print(f"The policy is in {out_dir / 'policy.yaml'}, but was not applied.", soft_wrap=True)
        raise refused
    if version is not None and not json:
        console.print(f"The box decides by policy version {version} now.")


def _examined(labels: Path, settings: Settings, defect: list[str] | None) -> "Examined":
    from framegate.models.evaluation import defects_of, examine
    from framegate.models.feedback.folder import MARKER
    from framegate.models.labels import read_labels
    from framegate.preprocess.decoder_pool import DecoderChild

    manifest = manifest_of(settings, settings.model or "starter")
    defects = defects_of(manifest, defect or ())
    labelled = read_labels(labels, manifest.classes, defects)
    engine = make_engine(settings, manifest)
    decoder = DecoderChild()
    try:
        with progress_bar("looking at images") as progress:
            examined = examine(labelled, manifest, defects, engine, decoder, progress)
    finally:
        decoder.close()
        engine.close()
    for left in examined.left_out:
        note(f"{left.path}: {left.reason}", "left out")
    if any((folder / MARKER).is_file() for folder in (labels, labels.parent, labels.parent.parent)):
        note(
            "these labels come from the review desk: people are asked about doubts, not about a fair sample, and boxes that "
            "were confirmed are a model's own. See 'From the review desk' in docs/calibration.md"
        )
    return examined


def _check_box(settings: Settings) -> None:
    """Before minutes of work, not after them."""
    with stores_of(settings):
        pass


def _apply(
    settings: Settings, examined: "Examined", make: Callable[[Mapping[str, Any] | None], dict[str, Any]]
) -> tuple[int | None, dict[str, Any], FramegateError | None]:
    """What the box decides by now with the new thresholds; the rest of its policy stays, also the rules of cameras.

    (version, document, why it was not applied). The model that was calibrated may be about to serve.
    """
    from framegate.gate.desk import PolicyDesk
    from framegate.gate.document import Document
    from framegate.kernel.policies import PolicyRefused
    from framegate.ports.store import PolicyConflict

    with stores_of(settings) as stores:
        desk = PolicyDesk.of(stores, DEFAULT_FACILITY)
        current = desk.policies.current_policy(DEFAULT_FACILITY)
        document = make(current.document if current else None)
        try:
            admission = desk.admit(Document(document, "policy.yaml"), datetime.now(UTC), [examined.manifest])
            admission.insist(force=False)
            # It was made of this one: whatever was applied meanwhile must not be undone by it.
            version = desk.apply(replace(admission, base=current), "operator").version
        except (PolicyRefused, PolicyConflict) as error:
            return None, document, error
    for text in admission.notes:
        note(text)
    for camera, rules in document.get("cameras", {}).items():
        own = sorted(rules.get("classes", ()))
        if own:
            console.print(f"[yellow]{escape(camera)}[/] keeps thresholds of its own for {escape(', '.join(own))}.")
    return version, document, None


def _report(examined: "Examined", scores: "Scores | None", verdicts: Mapping[str, Any]) -> dict[str, Any]:
    auc = examined.auc()
    report = {**examined.to_json(), "auc": None if auc is None else round(auc, 4), "verdicts": verdicts}
    if scores is None:
        return report
    fields = ("name", "objects", "images", "ap50", "ap50_95", "precision", "recall", "confidence")
    rows = [{field: getattr(one, field) for field in fields} for one in scores.classes]
    rounded = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    return report | {
        "map50": round(scores.map50, 4),
        "map50_95": round(scores.map50_95, 4),
        "classes": rounded,
        "confusion": scores.confusion.tolist(),
    }


def _class_table(scores: "Scores") -> Table:
    table = Table("class", "images", "objects", "AP50", "AP50-95", "precision", "recall", "at", title="per class")
    for one in scores.classes:
        numbers = one.ap50, one.ap50_95, one.precision, one.recall, one.confidence
        table.add_row(escape(one.name), str(one.images), str(one.objects), *(f"{value:.3f}" for value in numbers))
    table.add_section()
    objects = sum(one.objects for one in scores.classes)
    table.add_row("all", "", str(objects), f"{scores.map50:.3f}", f"{scores.map50_95:.3f}", "", "", "")
    return table


def _confusion_table(scores: "Scores", classes: tuple[str, ...]) -> Table:
    """Only the classes that occur."""
    names = [*map(escape, classes), "nothing"]
    used = [i for i in range(len(names)) if scores.confusion[i].any() or scores.confusion[:, i].any()]
    table = Table("truly", *(names[i] for i in used), title="found as, from confidence 0.25 on")
    for i in used:
        table.add_row(names[i], *(str(scores.confusion[i, j]) if scores.confusion[i, j] else "·" for j in used))
    return table


def _verdict_table(verdicts: Mapping[str, Mapping[str, int]], title: str) -> Table:
    table = Table("images", "pass", "review", "fail", title=title)
    for kind, counts in verdicts.items():
        table.add_row(kind, *(str(counts[verdict]) for verdict in ("pass", "review", "fail")))
    return table


def _limit_table(result: "Calibration") -> Table:
    table = Table("class", "review", "fail", "with", "missed", "miss rate ≤", "without", "alarms", "alarm rate ≤")
    for one in result.limits:
        fail = "never" if one.fail is None else f"{one.fail:.4f}"
        misses = str(one.with_class), str(one.missed), f"{one.miss_bound:.3f}"
        alarms = str(one.without_class), str(one.alarmed), f"{one.alarm_bound:.3f}"
        table.add_row(escape(one.name), f"{one.review:.4f}", fail, *misses, *alarms)
    return table
