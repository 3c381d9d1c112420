"""The decoder child: one image at a time, in a process that may die of it.

Run as `python -m framegate.preprocess.child CONTROL INPUT OUTPUT PARENT`: three inherited descriptors and the pid of who
started it. It ends when the control socket closes.
"""

import mmap
import socket
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from framegate.kernel.errors import InvalidFrame
from framegate.preprocess.confine import DEFAULT, Confinement, allow_cpu, confine
from framegate.preprocess.decode import decode, decoder_name, scale_denominator
from framegate.preprocess.jpeg import scaled
from framegate.preprocess.letterbox import RESAMPLING, cut, resize
from framegate.preprocess.quality import measure
from framegate.preprocess.scene import look
from framegate.preprocess.sizes import upright_size
from framegate.preprocess.wire import Answer, Closed, Request, receive, send

#: Fills the output with the prepared frame, or raises.
Work = Callable[[Request, memoryview, NDArray[np.uint8]], Answer]


def prepare_frame(request: Request, data: memoryview, out: NDArray[np.uint8]) -> Answer:
    """Writes `out` (h, w, 3) only after the whole file was decoded without a single complaint."""
    started = time.perf_counter()
    # A region is looked at for what scaling takes away: it is cut from the whole.
    scales = request.scaled_decoding and request.region is None
    target = (request.content_width, request.content_height) if scales else None
    stored = request.media_type, request.width, request.height, request.orientation
    denominator = scale_denominator(*stored, target)
    frame = decode(data, request.media_type, request.orientation, target)
    width, height = upright_size(request.width, request.height, request.orientation)
    if frame.shape[:2] != (scaled(height, denominator), scaled(width, denominator)):
        raise InvalidFrame("corrupt", "The picture does not have the size that its header states.")
    resize(cut(frame, request.region), request.content_width, request.content_height, out)
    region = {} if request.region is None else {"region": request.region.to_json()}
    return Answer(
        "ok",
        decode_ms=round((time.perf_counter() - started) * 1000, 3),
        quality=measure(out, (width, height)),
        scene=look(out),
        recipe={
            "decoder": decoder_name(request.media_type),
            "scale": f"1/{denominator}",
            "orientation": request.orientation,
            "resampling": f"{RESAMPLING}, opencv {cv2.__version__}",
        }
        | region,
    )


class _Areas:
    """The two shared areas as this side sees them. The parent may grow the input."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self._input_fd = input_fd
        self._input: mmap.mmap | None = None
        self._output = np.frombuffer(mmap.mmap(output_fd, 0), np.uint8)

    def input(self, request: Request) -> memoryview:
        """The file."""
        if self._input is None or len(self._input) != request.capacity:
            self._input = mmap.mmap(self._input_fd, request.capacity, prot=mmap.PROT_READ)
        return memoryview(self._input)[: request.size]

    def output(self, request: Request) -> NDArray[np.uint8]:
        """Where the content goes."""
        shape = request.content_height, request.content_width, 3
        return self._output[: shape[0] * shape[1] * 3].reshape(shape)


def serve(channel: socket.socket, areas: _Areas, work: Work, limits: Confinement) -> None:
    """Answers until the other side closes. Any error but the image's fault ends the process, with its traceback."""
    send(channel, {"ready": True})
    while True:
        try:
            request = Request.from_json(receive(channel))
        except Closed:
            return
        allow_cpu(limits.cpu_s)
        try:
            answer = work(request, areas.input(request), areas.output(request))
        except InvalidFrame as error:
            answer = Answer("invalid", error.reason, error.detail)
        except MemoryError:
            answer = Answer("memory")
        send(channel, answer.to_json())


def main(work: Work = prepare_frame, limits: Confinement = DEFAULT) -> None:
    """Everything is imported by now, so that no limit stands in the way of it."""
    control, input_fd, output_fd, parent = map(int, sys.argv[1:5])
    cv2.setNumThreads(1)
    confine(parent, limits)
    with socket.socket(fileno=control) as channel:
        serve(channel, _Areas(input_fd, output_fd), work, limits)


if __name__ == "__main__":
    main()
