"""The boundaries hold, and the machine that checks them would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PLANTED = [
    ("kernel/planted.py", "import framegate.worker.loop\n", "Dependencies point down"),
    ("gate/planted.py", "import framegate.inference.stage\n", "Dependencies point down"),
    ("models/planted.py", "import framegate.box\n", "Dependencies point down"),
    ("web/planted.py", "import framegate.ingest\n", "Dependencies point down"),
    ("dashboard/planted.py", "import framegate.ingest\n", "Dependencies point down"),
    ("worker/planted.py", "import framegate.adapters.memory\n", "Only bootstrap chooses adapters"),
    ("cli/planted.py", "import framegate.adapters.postgres\n", "Only bootstrap chooses adapters"),
    ("gate/planted.py", "import framegate.settings\n", "Only what puts the program together reads settings"),
    ("gate/planted.py", "import framegate.environment\n", "Only what puts the program together reads settings"),
    ("adapters/blobs_local_planted.py", "import framegate.adapters.memory\n", "Adapters do not know each other"),
    ("dashboard/planted.py", "import psycopg\n", "Vendor SDKs live in adapters"),
    ("gate/planted.py", "import sqlalchemy\n", "Vendor SDKs live in adapters"),
    ("inference/planted.py", "import openvino\n", "Vendor SDKs live in adapters"),
    ("worker/planted.py", "import fastapi\n", "The web framework is known to the HTTP stages only"),
    ("unheard_of.py", "", "Dependencies point down"),
]


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=directory,
        env={"PYTHONPATH": str(directory / "services"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_every_import_obeys_the_contracts() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("planted")
    ignore = shutil.ignore_patterns("__pycache__", "frames", "*.onnx")
    shutil.copytree(ROOT / "services", directory / "services", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


@pytest.mark.parametrize(("file", "text", "contract"), PLANTED)
def test_a_planted_violation_breaks_its_contract(copy: Path, file: str, text: str, contract: str) -> None:
    planted = copy / "services" / "framegate" / file
    planted.write_text(text, "utf-8")
    try:
        done = lint_imports(copy)
    finally:
        planted.unlink()
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert any(contract in line for line in broken), done.stdout[-3000:]


def test_only_one_module_reads_the_environment() -> None:
    allowed = {"environment.py"}
    offenders = [
        str(file.relative_to(ROOT))
        for file in (ROOT / "services").rglob("*.py")
        if file.name not in allowed and ("os.environ" in (text := file.read_text("utf-8")) or "os.getenv" in text)
    ]
    assert offenders == []


def test_the_worker_loop_has_no_waivers() -> None:
    for file in (ROOT / "services/framegate/worker").glob("*.py"):
        text = file.read_text("utf-8")
        assert "type: ignore" not in text, file
        assert "C901" not in text, file
        assert "PLR" not in text, file
