"""The pace at a server: grows while it bears it, shrinks when it does not, and keeps to limits per minute."""

from __future__ import annotations

import random

import pytest

from thinkscore.engines._chat import Problem
from thinkscore.engines._pace import START, Rate, Throttle
from thinkscore.engines._servers import REST, Server


def answer(throttle: Throttle, overloaded: bool, times: int = 1) -> None:
    for _ in range(times):
        throttle.start()
        throttle.end(overloaded)


def test_it_grows_to_the_most_and_no_further() -> None:
    throttle = Throttle(100)
    assert throttle.limit == START
    answer(throttle, False, 500)
    assert throttle.limit == 100


def test_a_small_limit_is_kept_from_the_start() -> None:
    throttle = Throttle(2)
    throttle.start()
    assert throttle.free()
    throttle.start()
    assert not throttle.free()


def test_a_few_overloaded_answers_change_nothing() -> None:
    throttle, luck = Throttle(64), random.Random(0)
    for _ in range(5000):
        answer(throttle, luck.random() < 0.05)
    assert throttle.limit == 64


def test_many_overloaded_answers_shrink_it_but_never_to_nothing() -> None:
    throttle = Throttle(64)
    answer(throttle, True, 200)
    assert 1 <= throttle.limit < 8
    answer(throttle, True, 2000)
    assert throttle.free()


@pytest.mark.parametrize("capacity", [4, 16, 40])
def test_it_settles_near_what_a_server_can_take(capacity: int) -> None:
    throttle = Throttle(256)
    seen = []
    for _ in range(6000):  # every place is filled, what is above the capacity is refused
        while throttle.free():
            throttle.start()
        throttle.end(throttle.active > capacity)
        seen.append(throttle.limit)
    assert capacity / 2 <= sum(seen[-3000:]) / 3000 <= 2 * capacity


def test_a_rate_spreads_requests_over_the_minute() -> None:
    rate, now, sent = Rate(120), 0.0, 0
    while now < 60:
        now += rate.wait(now)
        rate.take(1, now)
        sent += 1
        now += 1e-6
    assert 118 <= sent <= 124


def test_what_costs_more_than_thought_is_made_up_for() -> None:
    rate = Rate(600)
    rate.take(10, 0.0)
    assert rate.wait(0.0) == 0.0
    rate.take(100, 0.0)
    assert rate.wait(0.0) == pytest.approx(10.0)


def test_no_limit_is_no_limit() -> None:
    rate = Rate(0)
    rate.take(1e9, 0.0)
    assert rate.wait(0.0) == 0.0


def test_requests_that_fail_together_are_one_sign_that_a_server_is_gone() -> None:
    server, gone = Server("http://a/v1", 64), Problem("reset", retry=True, down=True)
    for _ in range(64):
        server.throttle.start()
        server.note(gone, 10.0)
    assert server.asleep_until == 10.0 + REST
    server.throttle.start()
    server.note(gone, 11.0)
    assert server.asleep_until == 11.0 + 2 * REST
