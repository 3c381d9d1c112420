"""The processes of a box."""

import sys

import psutil
import pytest

from tests.support.box import RunningBox


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a box does not fork: libraries of the system forbid it")
def test_all_are_forks_of_one_process_that_has_no_second_thread(box: RunningBox) -> None:
    found = box.processes()
    server = found["fork-server"]
    assert server.num_threads() == 1, "what another thread held would stay locked in the forks"
    forks = {process.pid for process in psutil.Process(server.pid).children()}
    assert forks == {found[name].pid for name in found if name not in ("fork-server", "decoder", "postgres")}
