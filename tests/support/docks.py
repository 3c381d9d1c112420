"""Cameras that send to a box all the time, whatever it answers: what they see can be changed meanwhile."""

import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

import cv2
import httpx
import numpy as np

from framegate.starter import sample_frames
from tests.support.box import RunningBox
from tests.support.jpegs import commented

#: Of the sample frames: clear ones, with damage, doubt or nothing. Fifty pictures are five rounds of them.
_CHOSEN: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)


def pictures(light: float = 1.0, width: int = 640) -> list[bytes]:
    """Ten JPEGs; `light`: a factor on all brightness."""
    found, paths = [], sample_frames()
    for index in _CHOSEN:
        frame = cv2.imread(str(paths[index]))
        assert frame is not None
        small = cv2.resize(frame, (width, width * frame.shape[0] // frame.shape[1]), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", (small * light).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
        found.append(data.tobytes())
    return found


@dataclass
class Dock:
    """A camera with a picture every so often, which is never the one before.

    `again`: the very same files come again and again. The box has their outcome, so many of them cost little.
    """

    camera: str
    every_s: float
    frames: Sequence[bytes]
    again: bool = False
    metadata: dict[str, str] = field(default_factory=dict)  #: `{}` stands for the number of the picture
    answers: Counter[int] = field(default_factory=Counter)  #: by status; 0: none

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def send(self, client: httpx.Client) -> None:
        """One picture."""
        number = next(self._numbers)
        data = self.frames[number % len(self.frames)]
        if not self.again:
            data = commented(data, f"{self.camera} {number}")
        named = {name: text.format(number) for name, text in self.metadata.items()}
        try:
            head, about = {"Content-Type": "image/jpeg"}, {"camera": self.camera, **named}
            answer = client.post("/v1/images", content=data, headers=head, params=about)
        except httpx.HTTPError:
            self.answers[0] += 1
        else:
            self.answers[answer.status_code] += 1

    def hurry(self, box: RunningBox, count: int) -> None:
        """So many at once, all of which are accepted."""
        with box.client() as client:
            for _ in range(count):
                self.send(client)
        assert self.answers.keys() == {httpx.codes.ACCEPTED}, self.answers


class Hall:
    """The docks of a box, each in a thread of its own, while it is entered."""

    def __init__(self, box: RunningBox, *docks: Dock) -> None:
        self._box, self._docks = box, docks
        self._stop = threading.Event()

    def __enter__(self) -> None:
        self._threads = [threading.Thread(target=self._run, args=[dock], daemon=True) for dock in self._docks]
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, dock: Dock) -> None:
        with ExitStack() as closing:
            client = closing.enter_context(self._box.client())
            while not self._stop.wait(dock.every_s):
                dock.send(client)
