"""The buffer between fetch and work: a batch is what is ready when the worker is."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


class ReadyBuffer(Generic[T]):
    """A closable queue that gives batches. `alone` items are given by themselves."""

    def __init__(self, alone: Callable[[T], bool] = lambda _: False) -> None:
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._alone = alone

    def __len__(self) -> int:
        """How many items are ready; out of date as soon as it is known."""
        return len(self._items)

    def put(self, item: T) -> bool:
        """False when closed: the item stays the caller's."""
        with self._changed:
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify()
            return True

    def take(self, limit: int, max_wait: timedelta = timedelta()) -> list[T]:
        """Blocks for a first item, then up to `max_wait` for more; [] only when closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._items or self._closed)
                if max_wait and not self._closed:
                    self._changed.wait_for(lambda: len(self._items) >= limit or self._closed, max_wait.total_seconds())
                if self._items or self._closed:  # else another taker was faster
                    return self._next_batch(limit)

    def _next_batch(self, limit: int) -> list[T]:
        batch: list[T] = []
        while self._items and len(batch) < limit:
            if batch and (self._alone(self._items[0]) or self._alone(batch[0])):
                break
            batch.append(self._items.popleft())
        return batch

    def close(self, *, keep: bool = False) -> list[T]:
        """Wakes everyone. Returns what was not taken; with `keep`, leaves it to be taken and returns []."""
        with self._changed:
            self._closed = True
            left = [] if keep else list(self._items)
            if not keep:
                self._items.clear()
            self._changed.notify_all()
            return left
