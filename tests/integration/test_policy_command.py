"""`framegate policy` as it is typed, on a real database."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import yaml
from click.testing import Result
from typer.testing import CliRunner

from framegate.cli import app, evaluate
from framegate.cli.common import out
from framegate.gate import simulate
from framegate.gate.policy import Policy
from framegate.kernel.errors import ConfigurationError, FramegateError
from framegate.kernel.ids import DEFAULT_FACILITY, FacilityId
from framegate.kernel.manifest import ModelManifest
from framegate.ports.store import PolicyConflict
from framegate.settings import Settings
from tests.contracts.examples import CAMERA
from tests.contracts.postgres_harness import PostgresHarness
from tests.support.policies import DOCUMENT, Inspector, serve_detector
from tests.support.values import inspected

STRICTER = {**DOCUMENT, "classes": {**DOCUMENT["classes"], "hole": {"review": 0.3, "fail": 0.35}}}


class Site:
    """A database with a camera, a policy and a detector that serves, and the command line on it."""

    def __init__(self, stores: PostgresHarness, directory: Path) -> None:
        self.stores, self.directory = stores, directory
        stores.cameras.confirm_camera(DEFAULT_FACILITY, CAMERA, "lead")
        stores.policies.add_policy(DEFAULT_FACILITY, DOCUMENT, "framegate")
        serve_detector(stores.registry, "carton", "hole")
        self.inspector = Inspector(stores.intake, stores.progress)

    def inspect(self, images: int, **seen: float) -> list[str]:
        policy = Policy.parse(1, DOCUMENT)
        return [str(self.inspector.inspect(policy, inspected(**seen)).image_id) for _ in range(images)]

    def file(self, document: Any, name: str = "policy.yaml") -> str:
        path = self.directory / name
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False))
        return str(path)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["policy", *arguments])

    def ok(self, *arguments: str) -> Result:
        done = self.run(*arguments)
        assert done.exit_code == 0, (done.output, done.exception)
        return done

    @property
    def version(self) -> int:
        current = self.stores.policies.current_policy(DEFAULT_FACILITY)
        assert current is not None
        return current.version


@pytest.fixture
def site(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(out, "_file", None)  # whatever standard output is by then
    stores = PostgresHarness(database_url)
    yield Site(stores, tmp_path)
    stores.close()
    structlog.reset_defaults()  # the command set up the logs of this process


def test_what_is_shown_can_be_changed_and_applied(site: Site) -> None:
    text = site.ok("show").stdout
    assert text.startswith("# Policy of main, version 1, by framegate, ")
    file = site.file(text.replace("fail: 0.6", "fail: 0.5"))
    assert site.ok("diff", file).stdout == "classes.hole.fail: 0.6 -> 0.5\n"
    done = site.ok("apply", file, "--by", "A. Lead")
    assert done.stdout == "classes.hole.fail: 0.6 -> 0.5\n"
    assert "main decides by policy version 2 now" in done.stderr
    found = site.stores.policies.current_policy(DEFAULT_FACILITY)
    assert found is not None
    assert (found.version, found.created_by, found.document["classes"]["hole"]["fail"]) == (2, "A. Lead", 0.5)
    audited = site.stores.audit()[-1]
    assert (audited.actor, audited.action, audited.object) == ("A. Lead", "policy.added", "2")
    assert "says the same" in site.ok("apply", file).stderr
    assert site.version == 2


def test_mistakes_are_lines_that_editors_understand_and_nothing_is_applied(site: Site) -> None:
    file = site.file("schema: 1\nclasses: {hoel: {review: 2, fail: null}}\notherwise: {review: 0.25, fail: null}\n")
    for command in ("check", "apply", "diff", "simulate"):
        done = site.run(command, file)
        assert done.exit_code == 1
        assert done.stderr == f"{file}:2:26: classes.hoel.review: write a number between 0 and 1, not 2\n"
    file = site.file("schema: 1\nclasses: {hoel: {review: 0.2, fail: null}}\notherwise: {review: 0.25, fail: null}\n")
    for command in ("check", "apply"):
        done = site.run(command, file)
        assert done.exit_code == 1
        assert done.stderr == (
            f"{file}:2:11: classes.hoel: no model that serves knows the class 'hoel'; did you mean hole?\n"
        )
    assert site.version == 1


def test_a_policy_for_people_only_is_refused_except_by_force(site: Site) -> None:
    file = site.file({**DOCUMENT, "require": ["hole"], "require_confidence": 0.5})
    for command in ("check", "apply"):
        done = site.run(command, file)
        assert done.exit_code == 1
        assert "everything would go to people" in done.stderr
    assert site.version == 1
    site.ok("apply", file, "--force")
    assert site.version == 2


def test_what_was_decided_is_decided_again_before_a_policy_is_applied(site: Site) -> None:
    site.inspect(20, hole=0.2)
    zero = {**DOCUMENT, "classes": {**DOCUMENT["classes"], "hole": {"review": 0.1, "fail": None}}}
    done = site.run("apply", site.file(zero))
    assert done.exit_code == 1
    assert "of the newest 20 decided images of confirmed cameras, 20 would" in done.stderr
    done = site.ok("check", site.file(STRICTER))
    assert "Of the newest 20 images, 0 would go to people instead of 0; 0 would end otherwise" in done.stderr
    assert "can be applied" in done.stderr


def test_simulate_shows_which_verdicts_flip_and_what_people_would_get(site: Site) -> None:
    doubtful = site.inspect(3, hole=0.4)
    site.inspect(2, carton=0.9)
    site.inspect(1, hole=0.7)
    file = site.file(STRICTER)
    told = json.loads(site.ok("simulate", file, "--since", "1h", "--json").stdout)
    assert (told["images"], told["hours"], told["cut"]) == (6, 1.0, False)
    assert told["decided"] == told["current"]["ends"] == {"review": 3, "pass": 2, "fail": 1}
    assert told["candidate"]["ends"] == {"pass": 2, "fail": 4}
    assert told["flips"] == [{"from": "review", "to": "fail", "images": 3, "examples": doubtful[::-1]}]
    assert (told["current"]["reviews_per_hour"], told["candidate"]["reviews_per_hour"]) == (3.0, 0.0)
    assert (told["current"]["alerts_per_hour"], told["candidate"]["alerts_per_hour"]) == (1.0, 4.0)
    assert (told["current"]["incidents"], told["candidate"]["incidents"]) == (1, 1)
    shown = site.ok("simulate", file).stdout
    assert doubtful[0] in shown
    assert "alerts per hour" in shown
    assert json.loads(site.ok("simulate", file, "--limit", "4", "--json").stdout)["cut"] is True
    assert site.version == 1


def test_a_stored_version_can_be_simulated(site: Site) -> None:
    site.inspect(2, hole=0.4)
    site.ok("apply", site.file(STRICTER))
    told = json.loads(site.ok("simulate", "--version", "1", "--json").stdout)
    assert told["flips"] == []
    assert told["current"]["ends"] == {"fail": 2}
    for wrong in (["simulate"], ["simulate", "x", "--version", "1"], ["simulate", "--version", "9"]):
        assert isinstance(site.run(*wrong).exception, ConfigurationError)
    done = site.run("simulate", "--version", "1", "--since", "soon")
    assert "90s, 30m, 12h or 7d" in str(done.exception)


def test_a_simulation_notes_names_of_nothing_and_goes_on(site: Site) -> None:
    site.inspect(1, hole=0.4)
    done = site.ok("simulate", site.file({**DOCUMENT, "require": ["pallet"]}), "--json")
    assert "note" in done.stderr
    assert "require[0]: no model that serves knows the class 'pallet'" in done.stderr
    assert json.loads(done.stdout)["images"] == 1


def test_many_images_are_read_page_by_page_and_none_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_PAGE", 7)
    images = site.inspect(60, hole=0.4)
    told = json.loads(site.ok("simulate", site.file(STRICTER), "--json").stdout)
    assert told["flips"][0]["images"] == len(images) == told["images"]


def test_history_tells_who_changed_what(site: Site) -> None:
    site.ok("apply", site.file(STRICTER), "--by", "A. Lead")
    site.ok("rollback", "--by", "B. Night")
    told = json.loads(site.ok("history", "--json").stdout)
    assert [(one["version"], one["by"], one["changed"]) for one in told] == [
        (3, "B. Night", "classes.hole.fail: 0.35 -> 0.6"),
        (2, "A. Lead", "classes.hole.fail: 0.6 -> 0.35"),
        (1, "framegate", "the first version"),
    ]
    newest = json.loads(site.ok("history", "--json", "--limit", "1").stdout)
    assert [one["changed"] for one in newest] == ["classes.hole.fail: 0.35 -> 0.6"]
    assert "A. Lead" in site.ok("history").stdout


def test_a_rollback_is_a_new_version_with_an_old_document(site: Site) -> None:
    assert "none to go back to" in str(site.run("rollback").exception)
    site.ok("apply", site.file(STRICTER))
    site.ok("apply", site.file({**STRICTER, "require": ["carton"]}))
    site.ok("rollback", "--to", "1")
    assert site.version == 4
    assert yaml.safe_load(site.ok("show").stdout) == DOCUMENT
    site.ok("rollback")
    assert yaml.safe_load(site.ok("show").stdout)["require"] == ["carton"]
    assert "has no policy 9" in str(site.run("rollback", "--to", "9").exception)


def test_a_rollback_to_names_that_are_gone_is_refused(site: Site) -> None:
    site.stores.policies.add_policy(DEFAULT_FACILITY, {**DOCUMENT, "require": ["pallet"]}, "lead")
    site.stores.policies.add_policy(DEFAULT_FACILITY, DOCUMENT, "lead")
    done = site.run("rollback", "--force")
    assert done.exit_code == 1
    assert done.stderr.startswith("version 2: require[0]: no model that serves knows the class 'pallet'")
    assert site.version == 3


def test_each_facility_has_its_own_policy(site: Site) -> None:
    hall = FacilityId("hall-2")
    site.stores.cameras.confirm_camera(hall, CAMERA, "lead")
    assert "has no policy yet" in str(site.run("show", "--facility", "hall-2").exception)
    done = site.ok("apply", site.file(STRICTER), "--facility", "hall-2")
    assert "this would be the first" in done.stdout
    assert (site.version, getattr(site.stores.policies.current_policy(hall), "version", 0)) == (1, 1)
    assert "there is no facility hall-3" in str(
        site.run("apply", site.file(STRICTER), "--facility", "hall-3").exception
    )


def calibrated(site: Site, make: Callable[[Any], dict[str, Any]]) -> FramegateError | None:
    model = site.stores.registry.model("carton@1")
    assert model is not None
    examined: Any = SimpleNamespace(manifest=ModelManifest.parse(model.manifest, model.ref))
    version, _, refused = evaluate._apply(Settings.read(), examined, make)
    assert (version is None) == (refused is not None)
    return refused


def test_a_calibration_is_refused_like_any_policy(site: Site) -> None:
    refused = calibrated(site, lambda base: {**base, "require": ["hole"], "require_confidence": 0.5})
    assert "everything would go to people" in str(refused)
    refused = calibrated(site, lambda base: {**base, "require": ["pallet"]})
    assert "policy.yaml: require[0]: no model that serves knows the class 'pallet'" in str(refused)
    assert site.version == 1
    assert calibrated(site, lambda base: {**base, "require": ["carton"]}) is None
    assert site.version == 2


def test_a_calibration_does_not_undo_what_was_applied_while_it_ran(site: Site) -> None:
    def make(base: Any) -> dict[str, Any]:
        site.stores.policies.add_policy(DEFAULT_FACILITY, STRICTER, "night shift")
        return {**base, "require": ["carton"]}

    refused = calibrated(site, make)
    assert isinstance(refused, PolicyConflict)
    assert "night shift applied version 2" in str(refused)
    assert site.version == 2


def test_without_a_box_a_policy_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("FRAMEGATE_DATA", str(tmp_path / "nowhere"))
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(DOCUMENT))
    done = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert done.exit_code == 0
    assert "were not checked" in done.stderr
    assert isinstance(
        CliRunner().invoke(app, ["policy", "check", str(tmp_path / "no.yaml")]).exception, ConfigurationError
    )
    structlog.reset_defaults()
