"""Prometheus' own judgement of what is scraped."""

import os
import shutil
import subprocess

import pytest


def lint(scraped: str) -> str:
    """What `promtool check metrics` finds in Prometheus text; empty when all is well. Without promtool the test is skipped."""
    if shutil.which("promtool") is None:
        said = "promtool is not installed: it comes with Prometheus (Debian: apt install prometheus)"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""
