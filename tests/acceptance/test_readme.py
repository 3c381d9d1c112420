"""What the README tells people to type works."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from framegate.starter import sample_frames
from tests.support.box import free_port

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.timeout(180)
def test_the_commands_of_the_readme_work_one_after_the_other(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 3
    (tmp_path / "photo.jpg").write_bytes(sample_frames()[0].read_bytes())
    port = str(free_port())
    script = "set -eu\nset -o pipefail\n" + "\n".join(blocks).replace("8080", port) + "\nkill %1\nwait %1\n"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "FRAMEGATE_API__MIN_FREE_MB": "16",
    }
    process = subprocess.Popen(
        ["bash", "-m", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output = process.communicate(timeout=150)[0]
    finally:
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # of those that ended meanwhile
                if str(tmp_path) in child.environ().values():
                    child.kill()
    assert process.returncode == 0, output[-4000:]
    assert '"verdict"' in output
    assert (tmp_path / "boxes.jpg").read_bytes().startswith(b"\xff\xd8")
    assert "0 lost" in output


def test_every_path_that_the_documents_link_to_exists() -> None:
    root = README.parent
    for page in [README, *(root / "docs").rglob("*.md"), *(root / "models").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
