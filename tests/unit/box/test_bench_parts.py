import os
import subprocess
import sys
import time
from pathlib import Path

from framegate.box.bench.cpu import cpu_seconds
from framegate.box.bench.frames import HEIGHT, TARGET_BYTES, WIDTH, make_frames
from framegate.kernel.imagefile import inspect_file


def test_bench_frames_are_different_1080p_jpegs_of_the_stated_size(tmp_path: Path) -> None:
    seen: list[int] = []
    files = make_frames(tmp_path, 3, seed=1, progress=seen.append)
    contents = [file.read_bytes() for file in files]
    assert len(set(contents)) == 3
    assert seen == [1, 2, 3]
    for data in contents:
        header = inspect_file(data, "image/jpeg")
        assert (header.width, header.height) == (WIDTH, HEIGHT)
        assert abs(len(data) / TARGET_BYTES - 1) < 0.1


def test_the_cpu_time_of_a_process_includes_that_of_its_children() -> None:
    busy = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while (used := cpu_seconds({"it": process.pid})["it"]) < 0.25:  # the kernel counts in ticks of 10 ms
            assert time.monotonic() < deadline, f"only {used} s were seen"
            time.sleep(0.05)
    finally:
        process.communicate(b"\n", timeout=10)
    assert cpu_seconds({"me": os.getpid()})["me"] > 0
