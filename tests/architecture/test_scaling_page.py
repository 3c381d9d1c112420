"""docs/scaling.md is what infra/scaling computes, from what is true of the code."""

import importlib.util
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from framegate.adapters.aws.deletes import WITHIN_S
from framegate.adapters.postgres.database import ANALYTIC
from framegate.bootstrap.stages import with_room_for_ten
from framegate.pipeline import ALL_QUEUES
from framegate.settings import (
    InferenceSettings,
    PreprocessSettings,
    QueueSettings,
    SweepSettings,
)
from framegate.worker.handler import WorkerOptions
from tests.support.terraform import parsed

ROOT = Path(__file__).parents[2]
SCALING = ROOT / "infra" / "scaling"


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"scaling_{name}", SCALING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model() -> Any:
    return _load("model")


def _check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCALING / "page.py"), "--check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_page_has_the_tables_that_are_computed() -> None:
    checked = _check()
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("name", ["prices", "settings", "choices", "limits"])
def test_no_table_of_inputs_changes_without_the_page(tmp_path: Path, name: str) -> None:
    text = (SCALING / "inputs.toml").read_text("utf-8")
    rows = {
        "prices": ("value = 0.40\n", "value = 0.41\n"),
        "settings": ("linger_s = { value = 0.2", "linger_s = { value = 0.3"),
        "choices": ("load = { value = 0.7", "load = { value = 0.8"),
        "limits": ("value = 3_500", "value = 3_600"),
    }
    changed = tmp_path / "inputs.toml"
    changed.write_text(text.replace(*rows[name], 1), "utf-8")
    checked = _check("--inputs", str(changed))
    assert checked.returncode == 1
    assert "page.py --write" in checked.stderr


def test_the_settings_it_is_computed_with_are_the_defaults(model: Any) -> None:
    given = model.Inputs()
    assert given["linger_s"] == QueueSettings().linger_ms / 1000
    assert given["poll_s"] == QueueSettings().poll_s
    assert given["sweep_s"] == SweepSettings().every_s
    assert given["delete_window_s"] == WITHIN_S
    assert f"statement_timeout = '{given['conservation_timeout_s'] / 60:.0f}min'" in ANALYTIC
    assert len(ALL_QUEUES) == model._QUEUES
    assert model.CORES["preprocess"] == PreprocessSettings().children
    inference = InferenceSettings()
    handled = with_room_for_ten(WorkerOptions(owner="", prefetch=inference.prefetch, max_batch=inference.max_batch))
    assert handled.prefetch + handled.max_batch == model.INFERENCE_WINDOW
    assert parsed()["variable"]["database_max_storage_gib"]["default"] == given["database_max_gib"]


def test_full_calls_are_nine_tenths_of_a_call_for_each_image(model: Any) -> None:
    assert sum(hop.calls for hop in [model.Hop(10, 10, 10)] * 3) == pytest.approx(0.9)


def test_a_higher_rate_never_takes_fewer_processes_or_emptier_calls(model: Any) -> None:
    given = model.Inputs()
    sizes = [model.Size(given, rate) for rate in (1, 10, 50, 200, 1000, 2000)]
    for lower, higher in pairwise(sizes):
        assert all(lower.processes[stage] <= higher.processes[stage] for stage in model.STAGES)
        assert lower.machines <= higher.machines
        assert lower.originals_gb() < higher.originals_gb()


def test_the_processes_of_a_stage_can_do_its_work_at_the_load_that_was_chosen(model: Any) -> None:
    given = model.Inputs()
    for rate in (10, 200, 2000):
        size = model.Size(given, rate)
        for stage in model.STAGES:
            busy = rate * size.cpu_ms[stage] / 1000
            assert busy <= given["load"] * size.processes[stage] * model.CORES[stage]


def test_a_gpu_at_the_break_even_costs_what_cpus_cost(model: Any) -> None:
    given = model.Inputs()
    assert model.gpu(given, model.break_even(given)).dollars == pytest.approx(model.cpu_dollars(given))


def test_a_store_is_charged_tier_by_tier(model: Any) -> None:
    given = model.Inputs()
    price = given["s3_standard"]
    assert model.standard(given, 1000) == pytest.approx(1000 * price)
    assert model.standard(given, 60_000) == pytest.approx(50_000 * price + 10_000 * (price - 0.001))
    assert model.standard(given, 600_000) == pytest.approx(
        50_000 * price + 450_000 * (price - 0.001) + 100_000 * (price - 0.002)
    )


def test_every_setting_that_the_page_names_exists() -> None:
    from framegate.settings import Settings

    known = {variable for variable, _, _ in Settings().describe()}
    named = set(re.findall(r"FRAMEGATE_[A-Z_]+[A-Z]", (ROOT / "docs/scaling.md").read_text("utf-8")))
    assert named
    assert named <= known
