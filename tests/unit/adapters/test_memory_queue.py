"""What the in-memory queue promises beyond the contract: equal runs are equal."""

from datetime import timedelta

from framegate.adapters.memory import FakeClock, MemoryQueue


def test_messages_that_become_visible_at_the_same_moment_come_in_the_order_in_which_they_were_sent() -> None:
    clock = FakeClock()
    queue = MemoryQueue(clock, "worker")
    bodies = [str(n) for n in range(50)]
    queue.send("q", bodies, timedelta(seconds=5))
    clock.advance(5)
    first = queue.receive(["q"], 100, timedelta(), timedelta(seconds=60))
    clock.advance(60)
    again = queue.receive(["q"], 100, timedelta(), timedelta(seconds=60))
    assert [d.body for d in first] == [d.body for d in again] == bodies
