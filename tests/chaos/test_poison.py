"""Images that kill their decoder, in a box of real processes."""

from pathlib import Path

import pytest

from tests.support.box import running_box
from tests.support.evil_child import evil
from tests.support.pictures import jpeg

ROOT = str(Path(__file__).parents[2])


@pytest.mark.timeout(300)
def test_only_the_image_that_kills_its_decoder_is_convicted(tmp_path: Path) -> None:
    drill = {"FRAMEGATE_PREPROCESS__CHILD": "tests.support.evil_child", "PYTHONPATH": ROOT}
    with running_box(tmp_path / "data", **drill) as box:
        box.run("cameras", "add", "dock-1")
        innocents = [box.upload(jpeg(i)).json()["id"] for i in range(20)]
        poison = [box.upload(evil(jpeg(100 + i), deed)).json()["id"] for i, deed in enumerate(["segv", "memory"])]
        innocents += [box.upload(jpeg(50 + i)).json()["id"] for i in range(20)]
        for image in innocents:
            assert box.outcome(image)["state"] == "decided"
        for image in poison:
            record = box.outcome(image, 90)
            assert (record["state"], record["reason"], record["verdict"]) == ("failed", "poison", None)
            assert len([h for h in record["history"] if h["ending"] == "crash"]) >= 2
        assert '"holds": true' in box.run("verify", "--json")
