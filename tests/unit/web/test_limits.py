from framegate.adapters.memory import FakeClock
from framegate.web.limits import FailureLimit, RateLimit


def test_a_key_may_use_one_second_of_its_rate_at_once_and_then_the_rate() -> None:
    clock = FakeClock()
    limit = RateLimit(10, clock)
    assert [limit.take("k").retry_after_s for _ in range(11)] == [0] * 10 + [1]
    clock.advance(0.5)
    assert [limit.take("k").retry_after_s for _ in range(6)] == [0] * 5 + [1]


def test_keys_do_not_share_their_allowance() -> None:
    limit = RateLimit(1, FakeClock())
    assert limit.take("a").retry_after_s == 0
    assert limit.take("a").retry_after_s == 1
    assert limit.take("b").retry_after_s == 0


def test_a_rate_below_one_a_second_says_how_long_to_wait() -> None:
    limit = RateLimit(0.1, FakeClock())
    assert limit.take("k").retry_after_s == 0
    assert limit.take("k").retry_after_s == 10
    assert limit.policy == '"key";q=1;w=10'


def test_the_remaining_allowance_is_told() -> None:
    limit = RateLimit(3, FakeClock())
    assert [limit.take("k").remaining for _ in range(3)] == [2, 1, 0]


def test_the_eleventh_failure_within_five_minutes_has_to_wait_until_the_first_is_forgotten() -> None:
    clock = FakeClock()
    limit = FailureLimit(clock)
    for _ in range(10):
        assert limit.fail("address") == 0
        clock.advance(1)
    assert limit.fail("address") == 290
    assert limit.fail("another") == 0
    clock.advance(290)
    assert limit.fail("address") == 0


def test_however_many_addresses_and_keys_come_memory_stays_bounded() -> None:
    clock = FakeClock()
    failures, rates = FailureLimit(clock), RateLimit(1, clock)
    for number in range(20_000):
        failures.fail(str(number))
        rates.take(str(number))
    assert len(failures._seen) == len(rates._buckets) == 10_000
