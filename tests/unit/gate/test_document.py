"""Policies as people write them."""

from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from framegate.gate.admission import Known, nothing_passes, unknown_names
from framegate.gate.changes import changes
from framegate.gate.document import problems_of, read_document, write_document
from framegate.gate.policy import FLAGS, Policy, SecondLook, document_from_manifest
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.kernel.policies import PolicyRefused
from framegate.starter import starter_dir

SHORT = """\
schema: 1
classes:
  torn: {review: 0.2, fail: 0.6}
otherwise: {review: 0.25, fail: null}
"""


def refused(text: str | bytes) -> list[str]:
    with pytest.raises(PolicyRefused) as caught:
        read_document(text, "policy.yaml")
    return str(caught.value).splitlines()


def test_all_mistakes_are_told_at_once_each_with_its_line_and_column() -> None:
    text = """\
schema: 1
classes:
  torn: {review: 0.2, fial: 0.6}
  hole: {review: 0.7, fail: 0.6}
otherwise: {review: -1, fail: null}
chain:
  - model: wear
    of: [carton]
  - {model: scene@1, min_confidence: 3}
cameras:
  dock-1:
    requires: [carton]
"""
    assert refused(text) == [
        "policy.yaml:3:3: classes.torn: the entry 'fail' is missing: a confidence from 0 to 1, or null for never",
        "policy.yaml:3:23: classes.torn.fial: there is no such entry; did you mean fail?",
        "policy.yaml:4:9: classes.hole: review (0.7) must not be above fail (0.6)",
        "policy.yaml:5:21: otherwise.review: write a number between 0 and 1, not -1",
        "policy.yaml:7:12: chain[0].model: a model is written as NAME@VERSION, not as 'wear'",
        "policy.yaml:9:38: chain[1].min_confidence: a confidence lies between 0 and 1, not at 3",
        "policy.yaml:12:5: cameras.dock-1.requires: there is no such entry; did you mean require?",
    ]


def test_faults_of_cameras_are_named_and_either_ignored_or_for_people() -> None:
    text = SHORT + "camera_faults: {moved: ignore, frozn: ignore, dark: fail}\nquality: {frozen: ignore}\n"
    assert refused(text) == [
        "policy.yaml:5:32: camera_faults.frozn: there is no such entry; did you mean frozen?",
        "policy.yaml:5:53: camera_faults.dark: 'fail' is unknown; there are ignore, review",
        "policy.yaml:6:11: quality.frozen: it is a fault of the camera: write it under camera_faults",
    ]
    assert refused(SHORT + "camera_faults:\n")[0].startswith("policy.yaml:5:")


def test_a_stored_policy_with_the_name_that_had_no_effect_is_still_read() -> None:
    document = {**yaml.safe_load(SHORT), "quality": {"frozen": "ignore", "flat": "ignore"}}
    assert Policy.parse(1, document).rules.doubtful_quality == {*FLAGS} - {"flat"}


def test_an_alert_cannot_take_the_name_of_those_about_cameras() -> None:
    (problem,) = refused(SHORT + "alerts:\n  camera: {when: [fail]}\n")
    assert problem.startswith("policy.yaml:6:3: alerts.camera: this is the name of what tells of faulty cameras")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("quality: {too-drak: ignore}", "5:11: quality.too-drak: there is no such entry; did you mean too-dark?"),
        ("quality: {blurred: reject}", "5:20: quality.blurred: 'reject' is unknown; there are ignore, review"),
        ("doubtful_quality: [blury]", "5:20: doubtful_quality[0]: 'blury' is unknown; did you mean blurred?"),
        ("alerts: {damage: {when: [fial]}}", "5:26: alerts.damage.when[0]: 'fial' is unknown; did you mean fail?"),
        ("alerts: {damage: {when: []}}", "5:25: alerts.damage.when: nothing raises this alert"),
        ("alerts: {damage: {severity: critical}}", "5:10: alerts.damage: the entry 'when' is missing"),
        ("alerts: {damage: }", "5:10: alerts.damage: is empty"),
        ("alerts: {a b: {when: [fail]}}", "5:10: alerts.a b: 'a b' cannot name an alert"),
        ("alerts: {x: {when: [fail], window: 30}}", "5:36: alerts.x.window: a duration is written as 90s, 30m"),
        ("alerts: {x: {when: [fail], window: 31d}}", "5:36: alerts.x.window: 31d is longer than 30d"),
        ("alerts: {x: {when: [fail], escalate_after: no}}", "or never"),
        ("alerts: {x: {when: [fail], group_by: [pallet]}}", "alerts are not grouped by 'pallet'"),
        ("alerts: {x: {when: [fail], group_by: []}}", "name what alerts are grouped by"),
        ("alerts: {x: {when: [fail], severity: urgent}}", "there are critical, warning"),
        ("require: carton", "5:10: require: write a list of names"),
        ("require: [2]", "5:11: require[0]: write a name here, not 2"),
        ("require_confidence: .nan", "write a number between 0 and 1, not nan"),
        ("cameras: {dock 1: {}}", "5:11: cameras.dock 1: 'dock 1' cannot name a camera"),
        ("cameras: {dock-1: {cameras: {}}}", "5:20: cameras.dock-1.cameras: there is no such entry"),
        ("chain: [{model: a@1}, {model: a@1}]", "5:31: chain[1].model: a@1 is in this chain already"),
        ("chain: a@1", "5:8: chain: a chain is a list"),
        ("second_look: true", "5:14: second_look: write {max_share: 0.1}, or false for no second look, not True"),
        ("second_look: ", "second_look: write {max_share: 0.1}, or false for no second look, not nothing"),
        ("second_look: {max_share: 10}", "5:26: second_look.max_share: write a number between 0 and 1, not 10"),
        ("second_look: {max_share: null}", "5:26: second_look.max_share: write a number between 0 and 1, not nothing"),
        ("second_look: {clear_below: x}", "5:28: second_look.clear_below: write a number between 0 and 1, not 'x'"),
        ("second_look: {max_shar: 0}", "5:15: second_look.max_shar: there is no such entry; did you mean max_share?"),
        ("schema: 1", "5:1: schema: is there twice, first in line 1: keep one"),
        ("true: {}", "5:1: True: True cannot be a name: put it in quotes"),
        ('"\\e[2J": {}', "5:1: '\\x1b[2J': '\\x1b[2J' cannot be a name"),
        ("require: *all", "policies have no aliases"),
        ("require: !!python/name:os.system x", "leave the tag"),
        ("require: [", "this is not YAML"),
        ("\tx: 1", "this is not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_to_do(more: str, expected: str) -> None:
    [line] = refused(SHORT + more + "\n")
    assert line.startswith("policy.yaml:")
    assert expected in line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "schema: 2",
        "schema: '1'",
        "[" * 5000,
        b"\xff\xfe\x00",
        "\x07",
        "# only a comment",
        "x" * (1 << 20) + "x",
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(text: str | bytes) -> None:
    [line] = refused(text)
    assert line.startswith("policy.yaml")


def test_both_ways_to_say_what_is_doubtful_at_once_are_refused() -> None:
    [line] = refused(SHORT + "quality: {blurred: ignore}\ndoubtful_quality: [blurred]\n")
    assert "quality says the same" in line


def test_a_second_look_is_off_unless_it_is_written_and_a_camera_may_differ_as_a_whole() -> None:
    cameras = "cameras: {off: {second_look: false}, own: {second_look: {max_share: 0.5}}, same: {require: []}}\n"
    text = SHORT + "second_look: {max_share: 0.2, clear_below: 0.07}\n" + cameras
    policy = Policy.parse(1, read_document(text, "p").raw)
    found = {camera: policy.for_camera(camera).second_look for camera in ("off", "own", "same", "other")}
    general = SecondLook(0.2, 0.07)
    assert found == {"off": None, "own": SecondLook(0.5, None), "same": general, "other": general}
    assert Policy.parse(1, read_document(SHORT, "p").raw).rules.second_look is None
    assert Policy.parse(1, read_document(SHORT + "second_look: {}\n", "p").raw).rules.second_look == SecondLook(
        0.1, None
    )


def test_a_stored_second_look_with_entries_of_a_newer_release_is_read() -> None:
    document = {**read_document(SHORT, "p").raw, "second_look": {"max_share": 0.3, "tiles": 4}}
    assert Policy.parse(1, document).rules.second_look == SecondLook(0.3)


def test_words_that_old_yaml_takes_for_booleans_are_names() -> None:
    raw = read_document(SHORT + "require: [on, off, yes, no, 2026-01-01, 1:30]\n", "p").raw
    assert raw["require"] == ["on", "off", "yes", "no", "2026-01-01", "1:30"]


def test_the_policy_of_a_models_maker_is_a_valid_document() -> None:
    assert problems_of(document_from_manifest(ModelManifest.load(starter_dir()))) == []


NAMES = st.text(min_size=1, max_size=12).filter(str.isprintable)
CONFIDENCES = st.floats(0, 1) | st.sampled_from([0, 1])


def _thresholds(pair: list[Any]) -> dict[str, Any]:
    return dict(zip(("review", "fail"), pair if None in pair else sorted(pair), strict=True))


THRESHOLDS = st.lists(st.none() | CONFIDENCES, min_size=2, max_size=2).map(_thresholds)
ALERT = st.fixed_dictionaries(
    {"when": st.lists(st.sampled_from(["fail", "review", "failed", "quality"]), min_size=1, max_size=3, unique=True)},
    optional={
        "classes": st.lists(NAMES, max_size=2),
        "severity": st.sampled_from(["critical", "warning"]),
        "group_by": st.lists(st.sampled_from(["camera", "class", "metadata.pallet"]), min_size=1, unique=True),
        "window": st.sampled_from(["90s", "30m"]),
        "escalate_after": st.sampled_from(["never", "1h"]),
    },
)
OPTIONAL: dict[str, Any] = {
    "require": st.lists(NAMES, max_size=3),
    "require_confidence": st.floats(0, 1),
    "quality": st.dictionaries(st.sampled_from(FLAGS), st.sampled_from(["ignore", "review"])),
    "chain": st.just([])
    | st.just([{"model": "wear@1", "of": ["carton"], "min_confidence": 0.5}, {"model": "scene@1"}]),
    "alerts": st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), ALERT | st.just(False), max_size=3),
}
RULES = {"classes": st.dictionaries(NAMES, THRESHOLDS, max_size=4), "otherwise": THRESHOLDS}
CAMERAS = st.dictionaries(
    st.from_regex(r"[a-z]{1,4}-[0-9]", fullmatch=True),
    st.fixed_dictionaries({}, optional={**RULES, **OPTIONAL}),
    max_size=3,
)
DOCUMENTS = st.fixed_dictionaries(
    {"schema": st.just(1), **RULES},
    optional={
        **OPTIONAL,
        "cameras": CAMERAS,
        "calibration": st.dictionaries(NAMES, NAMES | st.floats(0, 1) | st.none()),
    },
)


ANY_NAME = st.sampled_from(
    [
        "schema",
        "classes",
        "otherwise",
        "require",
        "quality",
        "chain",
        "alerts",
        "cameras",
        "review",
        "fail",
        "when",
        "a@1",
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | ANY_NAME,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(ANY_NAME | st.booleans(), inside, max_size=4),
)


@given(st.text() | st.binary() | st.text("{}[]:,-?&*!|>'\"#%@ \n\tab1.", max_size=40))
def test_whatever_a_file_holds_is_read_or_refused(text: str | bytes) -> None:
    with suppress(PolicyRefused):
        read_document(text, "policy.yaml")


@given(DOCUMENTS, st.dictionaries(ANY_NAME, ANYTHING, max_size=3))
def test_whatever_is_in_a_document_is_refused_or_decides(document: dict[str, Any], wrong: dict[str, Any]) -> None:
    document = {**document, **wrong}
    strict = problems_of(document)
    try:
        policy = Policy.parse(1, document)
    except ConfigurationError:
        assert strict, "what is stored is read no less leniently than what is new"
        return
    nothing_passes(policy)
    unknown_names(document, Known(frozenset({"carton"}), {}, frozenset()))
    changes(document, {})


@given(DOCUMENTS)
def test_what_is_written_is_read_as_the_same(document: dict[str, Any]) -> None:
    assert read_document(write_document(document), "policy.yaml").raw == document


@given(DOCUMENTS)
def test_a_valid_document_is_read_by_any_yaml_and_decides(document: dict[str, Any]) -> None:
    assert yaml.safe_load(write_document(document)) == document
    assert Policy.parse(1, document).version == 1
