"""A process starts with what its own command and stages need: every command pays for it, and every container."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import typer

import framegate.cli

ROOT = Path(__file__).parents[2]

#: What a process that decides and sweeps has no use for, large enough to be felt at its start.
HEAVY = {
    "alembic", "boto3", "cv2", "fastapi", "httpx", "matplotlib", "onnx", "onnxruntime", "openvino", "starlette",
    "tomlkit", "torch", "ultralytics", "uvicorn", "yaml",
    "framegate.box.bench", "framegate.cli.models", "framegate.inference.stage", "framegate.ingest", "framegate.models",
    "framegate.preprocess",
}  # fmt: skip

#: `framegate run gate sweep` up to where it wants its database; then what it imports to make its stages.
GATE_WORKER = """
import gc, sys
from framegate.cli import main
try:
    main()
except SystemExit:
    print("collects" if gc.isenabled() else "does not collect")
import framegate.gate.stage, framegate.sweep.canary, framegate.sweep.sweeper
print(*sys.modules)
"""


def test_a_gate_worker_imports_nothing_heavy_and_collects_garbage_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GATE_WORKER, "run", "gate", "sweep"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "services")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert "DATABASE_URL is not set" in done.stderr
    collects, modules = done.stdout.splitlines()
    assert collects == "collects"
    assert {"framegate.cli.run", "framegate.box.process", "framegate.bootstrap.stages"} <= set(modules.split())
    assert HEAVY & set(modules.split()) == set()


def test_the_tables_of_commands_name_every_command_and_its_module() -> None:
    top = typer.main.get_group(framegate.cli.app)
    listed = set(top.modules.items()) | set(top.get_command(None, "models").modules.items())
    registered = set()
    for module in pkgutil.iter_modules(framegate.cli.__path__):
        if register := getattr(importlib.import_module(f"framegate.cli.{module.name}"), "register", None):
            group = typer.Typer()
            register(group)
            registered |= {(name, module.name) for name in typer.main.get_group(group).commands}
    assert registered == listed
