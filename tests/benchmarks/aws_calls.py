"""CPU time of one call of the AWS adapters, and what a prepared frame weighs. Prints JSON.

    python tests/benchmarks/aws_calls.py [--calls 60]

The calls go through the adapters to a moto server in another process, over plain HTTP: only this process's CPU time
counts, and TLS is not in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore
import httpx

from framegate.bootstrap import load_manifest, open_blobs, provision
from framegate.bootstrap.stores import open_sqs
from framegate.box.bench.frames import make_frames
from framegate.box.box import free_port
from framegate.kernel.frames import decode_frame, encode_frame
from framegate.kernel.ids import DEFAULT_FACILITY, new_image_id
from framegate.kernel.messages import FramePrepared, encode
from framegate.kernel.states import Stage
from framegate.pipeline import queues_of
from framegate.ports.blobs import Blobs
from framegate.ports.queue import Delivery
from framegate.preprocess.direct import prepare_file
from framegate.settings import Settings
from framegate.starter import sample_frames

_BATCH = 10
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "us-east-1",
    "FRAMEGATE_QUEUE__KIND": "sqs",
    "FRAMEGATE_QUEUE__LINGER_MS": "0",  # a deletion is sent when it is asked for
    "FRAMEGATE_BLOBS__KIND": "s3",
    "FRAMEGATE_BLOBS__BUCKET": "bench",
}


@contextmanager
def moto() -> Iterator[str]:
    """The URL of a server that stands in for AWS."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(100):
                try:
                    httpx.get(url)
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield url
        finally:
            server.terminate()


def core_ms(call: Callable[[int], Any], calls: int) -> float:
    """CPU milliseconds of this process for one `call`, which is told its number."""
    for n in range(5):
        call(n - 5)
    started = time.process_time()
    for n in range(calls):
        call(n)
    return round((time.process_time() - started) * 1000 / calls, 3)


def sqs(settings: Settings, calls: int) -> dict[str, float]:
    """Full batches of ten messages; every call is one request."""
    (name,) = queues_of(Stage.INFERENCE)[:1]
    received: list[list[Delivery]] = []
    with closing(open_sqs(settings)) as queue:

        def send(_: int) -> None:
            queue.send(name, [encode(FramePrepared(DEFAULT_FACILITY, new_image_id())) for _ in range(_BATCH)])

        def receive(_: int) -> None:
            received.append(queue.receive([name], _BATCH, timedelta(), timedelta(hours=1)))

        sent, got = core_ms(send, calls), core_ms(receive, calls)
        if any(len(batch) != _BATCH for batch in received):
            raise RuntimeError("the stand-in did not fill every batch: these figures would be too small")
        deleted = core_ms(lambda _: queue.acknowledge(received.pop()), calls)
    return {"send of 10": sent, "receive of 10": got, "delete of 10": deleted}


def _put(blobs: Blobs, name: str, data: bytes, durable: bool, n: int) -> None:
    blobs.put(f"{name}/{n + 5}", data, durable=durable)


def _get(blobs: Blobs, name: str, n: int) -> bytes:
    return blobs.get(f"{name}/{n + 5}")


def s3(settings: Settings, calls: int, original: bytes, prepared: bytes) -> dict[str, float]:
    """Objects as large as those of the pipeline."""
    blobs, times = open_blobs(settings), {}
    for name, data, durable in (("original", original, True), ("prepared", prepared, False)):
        put = partial(_put, blobs, name, data, durable)
        times[f"put {name}"] = core_ms(put, calls)
        times[f"get {name}"] = core_ms(partial(_get, blobs, name), calls)
    times["delete prepared"] = core_ms(lambda n: blobs.delete(f"prepared/{n + 5}"), calls)
    return times


def frame_sizes(files: list[Path]) -> tuple[dict[str, float], bytes, bytes]:
    """Medians over `files`; an original and its prepared frame."""
    model = load_manifest("starter").input
    sizes: list[tuple[float, ...]] = []
    for file in files:
        data = file.read_bytes()
        content, _, _ = prepare_file(data, model)
        height, width = content.shape[:2]
        started = time.process_time()
        packed = bytes(encode_frame(content, "zstd"))
        between = time.process_time()
        decode_frame(packed, "zstd", height, width)
        ended = time.process_time()
        sizes.append((len(data), content.nbytes, len(packed), (between - started) * 1000, (ended - between) * 1000))
    names = ("original_bytes", "raw_bytes", "zstd_bytes", "zstd_encode_core_ms", "zstd_decode_core_ms")
    medians = [statistics.median(values) for values in zip(*sizes, strict=True)]
    return {"frames": len(files)} | {n: round(m, 3) for n, m in zip(names, medians, strict=True)}, data, packed


def main() -> None:
    """Measures the frames first: the objects are as large as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    calls = parser.parse_args().calls
    os.environ.update(_ENVIRONMENT)
    starter, _, _ = frame_sizes(sample_frames())
    with tempfile.TemporaryDirectory(prefix="framegate-frames-") as directory:
        files = make_frames(Path(directory), 40, seed=1, progress=lambda _: None)
        bench, original, prepared = frame_sizes(files)
    with moto() as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        settings = Settings.read()
        provision(settings)
        result = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "boto3": boto3.__version__,
            "botocore": botocore.__version__,
            "prepared_frames": {"starter": starter, "bench": bench},
            "core_ms_per_call": sqs(settings, calls) | s3(settings, calls, original, prepared),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
