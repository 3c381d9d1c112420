"""The whole pipeline on a queue that does everything SQS may do, while workers are killed: nothing is lost or decided twice.

`IMAGES=10000 KILLS=30` in the environment make it the full run; `-s` shows what the queue did.
"""

import json
import os
from pathlib import Path

import pytest

from tests.support.aws import aws_environment
from tests.support.box import RunningBox, running_box
from tests.support.fake_sqs.adversity import Adversity
from tests.support.fake_sqs.running import running_fake_sqs
from tests.support.models import tiny_manifest

from .test_kills import Camera, assert_all_is_well, fast

IMAGES = int(os.environ.get("IMAGES", "1000"))
KILLS = int(os.environ.get("KILLS", "3"))
VICTIMS = ("preprocess", "inference-0", "gate", "api")
ADVERSE = Adversity(
    seed=7,
    stale_noop=1,
    resets=0.002,
    duplicates=0.05,
    reorder=0.10,
    delay=0.02,
    late_s=20,
    partial_failures=0.01,
    throttle=0.01,
    resurrect=0.005,
)


def on_sqs(url: str, model: Path) -> dict[str, str]:
    """With a model that only averages: it is the messages that are tried here, the more of them the better."""
    tiny = str(tiny_manifest(model).weights.parent)
    return {
        **aws_environment(url),
        "FRAMEGATE_QUEUE__KIND": "sqs",
        "FRAMEGATE_QUEUE__POLL_S": "2",
        "FRAMEGATE_MODEL": tiny,
    }


@pytest.mark.timeout(max(400, IMAGES))
def test_an_adverse_queue_and_kills_lose_nothing_and_decide_nothing_twice(tmp_path: Path) -> None:
    with running_fake_sqs(ADVERSE) as fake:
        environment = fast(**on_sqs(fake.url, tmp_path / "model"))
        RunningBox(tmp_path / "data", **environment).run("provision")
        with running_box(tmp_path / "data", **environment) as box:
            box.run("cameras", "add", "dock-1")
            camera = Camera(box, IMAGES)
            camera.start()
            for n in range(KILLS):
                camera.wait_for(IMAGES // (KILLS + 2))
                box.kill(VICTIMS[n % len(VICTIMS)])
                if n == KILLS // 2:
                    fake.purge()
            camera.join()
            # Uploads are faster than inspections: most of a long run is still waiting when the last one is accepted.
            assert_all_is_well(box, IMAGES, max(120, IMAGES // 4))
            assert box.stop() == 0
        statistics = fake.statistics()
        injected = statistics["adversities"]
        assert all(injected.get(name) for name in ("duplicates", "reorder", "partial_failures")), statistics
        print("\n", json.dumps({"images": IMAGES, "kills": KILLS, **statistics}))
