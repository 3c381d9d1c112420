"""What a calibration writes can be read again, by people and by programs."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from framegate.gate.policy import Policy, document_from_manifest
from framegate.kernel.errors import ConfigurationError
from framegate.models.calibration import calibrate, policy_document
from framegate.models.evaluation import Examined
from framegate.models.labels import LeftOut
from framegate.models.report import summarise, write_report
from tests.unit.models.test_calibration import MANIFEST, examined, spread

EVIL = '<script>alert("x")</script>.jpg'


def written(out: Path, *, image_level: bool = False) -> tuple[Examined, dict[str, Any]]:
    done = examined(spread(40, 60), image_level=image_level)
    done = replace(done, left_out=(LeftOut(Path("set") / EVIL, "text <b>here</b>"),))
    result = calibrate(done, 0.05, 0.1)
    document = policy_document(document_from_manifest(MANIFEST), result, done)
    summary = summarise(done, result, done.verdicts(Policy.parse(0, document)))
    files = write_report(out, done, result, document, summary)
    assert {file.name for file in files} == {file.name for file in out.iterdir()}
    return done, document


@pytest.mark.parametrize("image_level", [False, True])
def test_the_written_policy_is_the_one_that_was_calibrated(tmp_path: Path, image_level: bool) -> None:
    _, document = written(tmp_path / "new" / "out", image_level=image_level)
    read = yaml.safe_load((tmp_path / "new" / "out" / "policy.yaml").read_text("utf-8"))
    assert read == document
    assert Policy.parse(1, read).rules.thresholds("hole").review == document["classes"]["hole"]["review"]


def test_the_summary_adds_up(tmp_path: Path) -> None:
    done, _ = written(tmp_path)
    summary = json.loads((tmp_path / "calibration.json").read_text("utf-8"))
    assert sum(summary["expected_per_1000"].values()) == pytest.approx(1000)
    assert sum(sum(kind.values()) for kind in summary["verdicts"].values()) == len(done.examples) == 100
    assert (summary["data"]["images"], summary["data"]["damaged"]) == (100, 40)
    assert summary["data"]["left_out"] == [{"image": EVIL, "reason": "text <b>here</b>"}]


def test_the_page_stands_alone_and_escapes_what_others_wrote(tmp_path: Path) -> None:
    written(tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "text &lt;b&gt;here" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) == 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    for fact in ("f" * 64, MANIFEST.sha256, "arXiv:2208.02814", "exchangeable"):
        assert fact in page


def test_the_pictures_are_pictures(tmp_path: Path) -> None:
    written(tmp_path)
    for name in ("precision-recall.png", "reliability.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot write to .*file.*correct --out"):
        written(tmp_path / "file" / "out")
