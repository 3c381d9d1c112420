"""The parent's side of a decoder child: start it, give it one image at a time, bury it.

Why no pixel of one image can end up in another: the child writes the output only after a whole, complaint-free decode,
and then exactly the content's bytes; the parent reads exactly those, and only after the child said so for this very
request, the only one in flight. A child that died takes its areas with it. So the areas need not be zeroed in between.
"""

import contextlib
import fcntl
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import DecoderCrashed, DependencyUnavailable, InvalidFrame
from framegate.kernel.geometry import Letterbox, Region
from framegate.kernel.inspection import Quality, Scene
from framegate.kernel.manifest import MAX_SIDE, ModelInput
from framegate.preprocess.sizes import fit, upright_size
from framegate.preprocess.wire import Answer, Closed, Request, receive, send

COMMAND: Final = (sys.executable, "-P", "-m", "framegate.preprocess.child")
_START_S = 60.0
_GRANULE = 1 << 20
#: For the content of any model's input. Only what is written to takes memory.
_OUTPUT_BYTES = MAX_SIDE * MAX_SIDE * 3
_LAST_WORDS = 200


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """One original, what was recorded about it when it was accepted, and the input it is prepared for."""

    data: bytes
    media_type: str
    width: int  #: as stored
    height: int
    orientation: int
    model: ModelInput
    region: Region | None = None  #: of the upright frame; None: all of it


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """`content` (h, w, 3) RGB is a view that the child's next image overwrites."""

    content: NDArray[np.uint8]
    letterbox: Letterbox
    quality: Quality
    recipe: dict[str, Any]
    decode_ms: float
    scene: Scene | None = None


class DecoderChild:
    """One child process at a time, used by one thread at a time; a dead one is replaced when the next image comes."""

    def __init__(self, command: Sequence[str] = COMMAND, deadline_s: float = 30.0) -> None:
        self._command, self._deadline_s = command, deadline_s
        self._process: _Process | None = None

    @property
    def alive(self) -> bool:
        """Whether a child is there now."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Blocks until the child is ready; does nothing while one is. Raises `DependencyUnavailable`.

        The child lives no longer than the thread that calls this: the kernel's parent-death signal goes by threads.
        """
        if not self.alive:
            self.close()
            self._process = _Process(self._command)

    def prepare(self, job: DecodeJob) -> DecodedFrame:
        """Blocks for at most the deadline, or the start of a child more.

        Raises `InvalidFrame`, `DecoderCrashed` (this image alone was in the child) or `DependencyUnavailable`.
        """
        width, height = upright_size(job.width, job.height, job.orientation)
        letterbox = fit(width, height, job.model, job.region)
        process = self._handed_over(job, letterbox)
        try:
            answer = self._answer(process)
        except DecoderCrashed:
            self.close()
            raise
        if answer.quality is None:
            raise InvalidFrame(answer.reason, answer.detail)
        content = process.content(letterbox.content_height, letterbox.content_width)
        return DecodedFrame(content, letterbox, answer.quality, answer.recipe, answer.decode_ms, answer.scene)

    def close(self) -> None:
        """Kills the child and waits for its end; a later `prepare` starts another."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _handed_over(self, job: DecodeJob, letterbox: Letterbox) -> "_Process":
        """A child that dies before it has the whole request died of something else than this image."""
        for _ in range(2):
            self.start()
            process = self._process
            if process is not None and process.hand_over(job, letterbox):
                return process
            self.close()
        raise DependencyUnavailable("decoder processes end before they get to work: look for what kills them")

    def _answer(self, process: "_Process") -> Answer:
        try:
            answer = Answer.from_json(receive(process.channel, time.monotonic() + self._deadline_s))
        except TimeoutError as error:
            raise DecoderCrashed(f"deadline: the decoder took longer than {self._deadline_s:g} s") from error
        except Closed as error:
            raise DecoderCrashed(f"the decoder died: {process.obituary()}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise DecoderCrashed(f"protocol: the decoder answered nonsense ({type(error).__name__})") from error
        if answer.outcome == "memory":
            raise DecoderCrashed("memory: the decoder needed more than it may have")
        return answer


class _Process:
    """A child that runs, its socket and its two areas; all of them end together."""

    def __init__(self, command: Sequence[str]) -> None:
        self._input_fd = os.memfd_create("framegate-input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self._capacity = _GRANULE
        os.ftruncate(self._input_fd, self._capacity)
        # Sealed, or else a child taken over by its image could cut the area off under the parent: SIGBUS.
        fcntl.fcntl(self._input_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self._input = mmap.mmap(self._input_fd, self._capacity)
        output_fd = os.memfd_create("framegate-output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(output_fd, _OUTPUT_BYTES)
        fcntl.fcntl(output_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self._output = np.frombuffer(mmap.mmap(output_fd, _OUTPUT_BYTES, prot=mmap.PROT_READ), np.uint8)
        self.channel, theirs = socket.socketpair()
        # Not blocking on either end: a child that complains a lot loses its words, not its time.
        self._stderr, stderr = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._process = _spawn(command, (theirs.fileno(), self._input_fd, output_fd), stderr)
        except OSError as error:
            self._release()
            raise DependencyUnavailable(f"cannot start a decoder process: {error}") from error
        finally:
            theirs.close()
            os.close(output_fd)
            os.close(stderr)
        self._await_ready()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def hand_over(self, job: DecodeJob, letterbox: Letterbox) -> bool:
        """False when the child is gone."""
        self._words()
        self._fit(len(job.data))
        self._input[: len(job.data)] = job.data
        request = Request(
            size=len(job.data),
            capacity=self._capacity,
            media_type=job.media_type,
            width=job.width,
            height=job.height,
            orientation=job.orientation,
            content_width=letterbox.content_width,
            content_height=letterbox.content_height,
            scaled_decoding=job.model.scaled_decoding,
            region=job.region,
        )
        try:
            self.channel.settimeout(_START_S)
            send(self.channel, request.to_json())
        except OSError:
            return False
        return True

    def content(self, height: int, width: int) -> NDArray[np.uint8]:
        """A view of the output."""
        return self._output[: height * width * 3].reshape(height, width, 3)

    def obituary(self) -> str:
        """How it ended, and its last words."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "it closed its socket"
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        words = self._words()
        return f"{how}: {words}" if words else how

    def kill(self) -> None:
        """Returns when it is gone."""
        self._process.kill()
        self._process.wait()
        self._release()

    def _await_ready(self) -> None:
        try:
            receive(self.channel, time.monotonic() + _START_S)
        except (Closed, TimeoutError, ValueError) as error:
            how = "it took too long" if isinstance(error, TimeoutError) else self.obituary()
            self.kill()
            raise DependencyUnavailable(f"the decoder process does not start: {how}") from error

    def _fit(self, size: int) -> None:
        if size > self._capacity:
            self._capacity = -(-size // _GRANULE) * _GRANULE
            os.ftruncate(self._input_fd, self._capacity)
            self._input = mmap.mmap(self._input_fd, self._capacity)

    def _words(self) -> str:
        """The last line on its standard error since the last call; never waits."""
        said = b""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self._stderr, 65536):
                said = part
        lines = said.decode("ascii", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return "".join(c for c in last if c.isprintable() and c.isascii())[:_LAST_WORDS]

    def _release(self) -> None:
        self.channel.close()
        os.close(self._input_fd)
        os.close(self._stderr)


def _spawn(command: Sequence[str], descriptors: tuple[int, int, int], stderr: int) -> "subprocess.Popen[bytes]":
    """With an environment of its own: no secret of the worker's is in the process that strangers may take over."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [*command, *map(str, descriptors), str(os.getpid())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENCV_LOG_LEVEL": "SILENT", **one_thread},
        pass_fds=descriptors,
        # A Ctrl-C at the terminal is for the worker: it lets its children finish.
        start_new_session=True,
    )
