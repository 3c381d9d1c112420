"""The load generator: uploads files over keep-alive connections with as little CPU of its own as possible.

Run as `python -m framegate.box.bench.load` with a JSON request on standard input; prints a JSON answer.
"""

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """`rate_per_s` 0: as fast as `concurrency` allows; else an open loop at that rate."""

    base_url: str
    key: str
    camera: str
    files: list[str]
    concurrency: int
    rate_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Seconds; `accept_s` sorted; `started` and `ended` are wall-clock times."""

    accept_s: list[float]
    refused: int
    started: float
    ended: float
    cpu_s: float


async def _upload(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str, data: bytes) -> bool:
    writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await reader.readexactly(length)
    return answer.startswith(b"HTTP/1.1 202")


async def _run(request: LoadRequest, contents: dict[str, bytes]) -> LoadResult:
    address = urlsplit(request.base_url)
    head = (
        f"POST /v1/images?camera={request.camera} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {request.key}\r\nContent-Type: image/jpeg\r\n"
    )
    work: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
    started = time.monotonic()
    for i, file in enumerate(request.files):
        work.put_nowait((started + i / request.rate_per_s if request.rate_per_s else 0.0, file))
    accept_s: list[float] = []
    refused = 0

    async def connection() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**20)
        while not work.empty():
            due, file = work.get_nowait()
            if due > (now := time.monotonic()):
                await asyncio.sleep(due - now)
            data = contents[file]
            # In an open loop the clock starts when the upload was due: waiting for a connection counts.
            begun = due or time.monotonic()
            if await _upload(reader, writer, head, data):
                accept_s.append(time.monotonic() - begun)
            else:
                refused += 1
        writer.close()

    begun = time.time()
    await asyncio.gather(*(connection() for _ in range(request.concurrency)))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return LoadResult(sorted(accept_s), refused, begun, time.time(), usage.ru_utime + usage.ru_stime)


def main() -> None:
    """The child process."""
    request = LoadRequest(**json.load(sys.stdin))
    contents = {file: Path(file).read_bytes() for file in request.files}
    before = resource.getrusage(resource.RUSAGE_SELF)
    result = asdict(asyncio.run(_run(request, contents)))
    result["cpu_s"] -= before.ru_utime + before.ru_stime
    print(json.dumps(result))


def generate(
    base_url: str, key: str, camera: str, files: Sequence[Path], concurrency: int, rate_per_s: float = 0.0
) -> LoadResult:
    """Runs the generator in a process of its own and waits for it."""
    request = LoadRequest(base_url, key, camera, [str(f) for f in files], concurrency, rate_per_s)
    done = subprocess.run(
        [sys.executable, "-m", "framegate.box.bench.load"],
        input=json.dumps(asdict(request)),
        capture_output=True,
        text=True,
        timeout=900,
        check=True,
    )
    return LoadResult(**json.loads(done.stdout))


if __name__ == "__main__":
    main()
