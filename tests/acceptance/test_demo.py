import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(180)
def test_the_demo_ends_by_itself_with_every_frame_accounted_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "framegate", "demo", "--once", "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    totals = json.loads(done.stdout.splitlines()[-1])
    assert set(totals) == {
        "accepted", "decided", "rejected", "failed", "lost", "seconds", "images_per_second", "verdicts",
    }  # fmt: skip
    assert totals["accepted"] >= 24
    assert totals["accepted"] == totals["decided"] + totals["rejected"] + totals["failed"]
    assert totals["lost"] == 0
    assert len(totals["verdicts"]) >= 2
    assert list(tmp_path.iterdir()) == []
