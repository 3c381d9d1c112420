"""What a box loads before it forks is what its processes would otherwise each load when they make their stage."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import framegate.bootstrap

FOLDER: Final = Path(framegate.bootstrap.__file__).parent
#: For what few have: each process loads them, if it needs them.
RARE: Final = "framegate.adapters.aws."
#: What starts threads as soon as it is imported.
THREADS: Final = ("onnxruntime", "openvino", "torch", "tensorrt")


def imported_late(file: Path) -> Iterator[str]:
    """The modules that its functions import."""
    tree = ast.parse(file.read_text("utf-8"))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("framegate."):
                yield node.module


def loaded_by(modules: str) -> set[str]:
    """What there is in a new process once these are imported."""
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_what_the_stages_import_when_they_are_made_is_loaded_before_a_box_forks_them_but_no_engine() -> None:
    late = {module for name in ("api", "hooks", "stages") for module in imported_late(FOLDER / f"{name}.py")}
    found = loaded_by("framegate.cli.run, framegate.bootstrap.preloaded")
    assert {module for module in late - found if not module.startswith(RARE)} == set()
    assert found.isdisjoint(THREADS)
