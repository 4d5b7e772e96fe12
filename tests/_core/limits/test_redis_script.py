"""The script in Redis, on a clock of the test's own."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis import Redis

from dialogkit._core.limits.redis_script import Extents, Granted, Refused, Report, Tokens, Unfamiliar, encoded, source
from dialogkit._core.limits.terms import Allowance, RateLimit
from dialogkit._core.limits.window import Window, extents_of
from tests.support.redis_server import RedisServer

LEASE = 300.0


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


@pytest.fixture
def script(server: RedisServer) -> Iterator[Script]:
    client: Any = Redis(unix_socket_path=server.socket)
    with client as redis:
        redis.flushall()
        yield Script(redis)


class Script:
    """Runs the script; `now` is in microseconds."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.now = 1_700_000_000_000_000
        text = source()
        assert text.count("redis.call('TIME')") == 1
        self.text = text.replace("redis.call('TIME')", "{ 0, redis.call('GET', 'clock') }")
        self.permits = 0

    def run(self, *arguments: str | int) -> list[int]:
        self.redis.set("clock", self.now)
        reply: list[int] = self.redis.eval(self.text, 1, "key", *map(str, arguments))
        return reply

    def ask(
        self,
        extents: Extents,
        id_: str,
        *,
        ahead: int = 0,
        lease: float = LEASE,
        born: int = 0,
        holds: bool = False,
    ) -> Granted | Refused | Unfamiliar:
        reply = self.run("acquire", extents.text, id_, round(lease * 1e6), ahead, born, int(holds))
        if reply[0]:
            return (Granted if reply[0] == 1 else Unfamiliar)(reply[1])
        return Refused(reply[1], *(each / 1e6 for each in reply[2:]))

    def take(self, limits: Sequence[RateLimit], *, lease: float = LEASE) -> Permit:
        self.permits += 1
        extents = encoded(tuple(limits))
        answer = self.ask(extents, str(self.permits), lease=lease)
        assert isinstance(answer, Granted)
        return Permit(str(self.permits), extents)

    def wait(self, limits: Sequence[RateLimit], *, ahead: int = 0) -> float:
        answer = self.ask(encoded(tuple(limits)), "", ahead=ahead)
        assert isinstance(answer, Refused)
        return answer.wait

    def settle(self, *permits: Permit, told: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        reports = [Report(each.id, told, retry_after) for each in permits]
        self.run("report", json.dumps([each.row() for each in reports]))

    def release(self, permit: Permit) -> None:
        self.run("report", json.dumps([Report(permit.id, sent=False).row()]))

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e6)


@dataclass
class Permit:
    id: str
    extents: Extents
    number: int = 0
    windows: tuple[int, ...] = ()
    let_go: float = 0.0
    marks: dict[int, int] = field(default_factory=dict)


ONE = (RateLimit(1, per=10),)
TEN = (RateLimit(10, per=10),)
AWAY = 10 * 1.0005 + 0.001


def test_a_token_comes_back_a_window_after_it_was_settled(script: Script) -> None:
    permit = script.take(ONE)
    script.sleep(5)
    assert script.wait(ONE) == pytest.approx(AWAY)  # at the soonest
    script.settle(permit)
    script.sleep(AWAY - 0.000001)
    assert script.wait(ONE) == pytest.approx(0.000001)
    script.sleep(0.000001)
    script.take(ONE)


def test_limits_are_taken_together_or_not_at_all(script: Script) -> None:
    both = (RateLimit(1, per=100), RateLimit(5, per=1))
    script.settle(script.take(both))
    assert isinstance(script.ask(encoded(both), "refused"), Refused)
    for _ in range(4):
        script.take(both[1:])
    assert script.wait(both[1:]) > 0


def test_a_permit_given_back_unused_is_there_at_once(script: Script) -> None:
    script.release(script.take(ONE))
    permit = script.take(ONE)
    script.release(Permit("never heard of", permit.extents))
    assert script.wait(ONE) > 0


def test_what_is_told_twice_counts_once(script: Script) -> None:
    permits = [script.take(TEN) for _ in range(9)]
    for _ in range(2):
        script.settle(permits[0])
        script.release(permits[1])
    script.release(permits[0])
    assert [script.wait(TEN, ahead=ahead) > 0 for ahead in range(4)] == [False, False, True, True]


def test_who_asks_again_as_the_answer_was_lost_gets_the_same_permit(script: Script) -> None:
    extents = encoded(ONE)
    for _ in range(2):
        assert isinstance(script.ask(extents, "mine"), Granted)
    assert isinstance(script.ask(extents, "other"), Refused)


def test_a_lease_ends_a_permit_as_if_it_had_been_settled_then(script: Script) -> None:
    lost, kept = script.take(TEN, lease=20), script.take(TEN, lease=50)
    for _ in range(8):
        script.take(TEN, lease=50)
    script.sleep(20 + AWAY - 1)
    assert script.wait(TEN) == pytest.approx(1)
    assert script.wait(TEN, ahead=1) == pytest.approx(AWAY)
    script.sleep(1)
    script.take(TEN)
    script.settle(lost)  # too late to matter
    script.settle(kept)
    assert script.wait(TEN) == pytest.approx(AWAY)
    script.sleep(AWAY)
    script.take(TEN)
    assert script.wait(TEN) > 0


def test_a_pause_holds_and_only_grows(script: Script) -> None:
    permits = [script.take(TEN) for _ in range(3)]
    script.settle(permits[0], retry_after=30)
    script.settle(permits[1], retry_after=1)
    script.settle(permits[2])
    answer = script.ask(encoded(TEN), "x")
    assert isinstance(answer, Refused)
    assert answer.wait == 0
    assert answer.pause == pytest.approx(30, abs=0.01)
    script.sleep(30)
    script.take(TEN)


def test_answers_narrow_what_all_may_send(script: Script) -> None:
    permit = script.take(TEN)
    script.settle(permit, told=[Allowance(10, 10.0, remaining=3)])  # one of them is ours
    for _ in range(3):
        script.take(TEN)
    assert script.wait(TEN) > 0


def test_what_others_use_is_believed_until_the_window_ends(script: Script) -> None:
    permit = script.take(TEN)
    script.settle(permit, told=[Allowance(10, 10.0, remaining=0, resets_in=4.0)])
    assert script.wait(TEN) == pytest.approx(4.0)
    script.sleep(4)
    script.take(TEN)


def test_an_older_answer_tells_nothing_new(script: Script) -> None:
    older = script.take(TEN)
    script.sleep(0.001)
    newer = script.take(TEN)
    script.settle(newer, told=[Allowance(10, 10.0, remaining=8)])
    script.settle(older, told=[Allowance(10, 10.0, remaining=0)])
    for _ in range(8):
        script.take(TEN)


def test_a_window_of_no_limit_and_limits_of_some_operations_are_left_alone(script: Script) -> None:
    named = (RateLimit(5, per=10, name="messages"),)
    permit = script.take((*TEN, *named))
    script.settle(permit, told=[Allowance(1, 60.0, remaining=0)])
    for _ in range(4):
        script.settle(script.take(named), told=[Allowance(10, 10.0, remaining=0)])
    assert script.wait(named) > 0
    assert script.wait(TEN) > 0


def test_nothing_is_believed_of_a_time_that_redis_has_forgotten(script: Script) -> None:
    permit = script.take(TEN)
    script.redis.flushall()
    script.sleep(1)
    script.settle(permit, told=[Allowance(10, 10.0, remaining=0)], retry_after=None)
    script.take(TEN)
    script.settle(permit, told=[Allowance(10, 10.0, remaining=0)])
    for _ in range(9):
        script.take(TEN)


def test_a_clock_that_is_set_back_keeps_nothing_away_for_longer_than_a_window(script: Script) -> None:
    for _ in range(10):
        script.sleep(0.5)
        script.settle(script.take(TEN), told=[Allowance(10, 10.0, remaining=10)])
    script.sleep(-3600)
    assert 0 < script.wait(TEN, ahead=9) <= AWAY + 1e-6
    script.sleep(AWAY)
    for remaining in (9, 0):
        assert script.wait(TEN) == 0
        script.settle(script.take(TEN), told=[Allowance(10, 10.0, remaining)])
    assert script.wait(TEN) > 0


def test_an_idle_key_goes_by_itself(script: Script) -> None:
    permit = script.take(ONE, lease=60)
    assert 60_000 + AWAY * 1000 - 2_000 < script.redis.pttl("key") <= 60_000 + AWAY * 1000 + 1
    script.settle(permit)
    assert AWAY * 1000 - 2_000 < script.redis.pttl("key") <= AWAY * 1000 + 1
    script.settle(permit, retry_after=600)
    assert 598_000 < script.redis.pttl("key") <= 600_001


def test_a_key_is_small_however_busy(script: Script) -> None:
    limits = (RateLimit(100, per=10), RateLimit(200_000, per=86_400))
    extents = encoded(limits)
    with script.redis.pipeline(transaction=False) as pipeline:
        for number in range(10_000):
            script.sleep(10)
            pipeline.set("clock", script.now)
            pipeline.eval(script.text, 1, "key", "acquire", extents.text, str(number), "300000000", "0", "0", "0")
            row = Report(str(number), [Allowance(100, 10.0, 50)]).row()
            pipeline.eval(script.text, 1, "key", "report", json.dumps([row]))
            if number % 500 == 499:
                replies = pipeline.execute()
                assert all(reply[0] == 1 for reply in replies[1::3])
    assert script.redis.hlen("key") == 1
    usage = script.redis.memory_usage("key")
    assert usage <= 4096


EXTENTS = [extents_of(RateLimit(limit, per=1.0))[0] for limit in (3, 40)]
CHOICES = [(RateLimit(3, per=1.0), RateLimit(40, per=1.0)), (RateLimit(40, per=1.0),)]


class Model:
    """The same, of the windows that `MemoryRateLimiter` has."""

    def __init__(self) -> None:
        self.windows = [Window(extent) for extent in EXTENTS]
        self.born: list[int | None] = [None, None]
        self.number = 0

    def take(self, permit: Permit, indexes: tuple[int, ...], now: float) -> None:
        self.number += 1
        permit.number, permit.windows, permit.let_go = self.number, indexes, now
        for index in indexes:
            if self.born[index] is None:
                self.born[index] = self.number
            permit.marks[index] = self.windows[index].mark()
            self.windows[index].take()
        self.forget(now)

    def settle(self, permit: Permit, told: Sequence[Allowance], now: float, *, refused: bool) -> None:
        for index in permit.windows:
            self.windows[index].settle(now, refused=refused)
        for allowance in told:
            for index, window in enumerate(self.windows):
                born = self.born[index]
                if born is not None and permit.number >= born:
                    mark = permit.marks.get(index, 0)
                    window.learn(allowance, now, number=permit.number, mark=mark, let_go=permit.let_go)
        self.forget(now)

    def forget(self, now: float) -> None:
        """Do as the script does whenever it saves the state."""
        for index, window in enumerate(self.windows):
            if window.is_idle(now):
                self.windows[index] = Window(EXTENTS[index])
                self.born[index] = None


@pytest.mark.parametrize("seed", range(24))
def test_it_does_what_the_windows_in_memory_do(script: Script, seed: int) -> None:
    """On a grid of 10 ms, which no moment of interest comes near, as a window in memory rounds times a little."""
    chance = random.Random(seed)
    model = Model()
    flying: list[Permit] = []
    script.text = script.text.replace("'PEXPIRE'", "'EXISTS'")  # on Redis's own clock
    busy = chance.random()
    granted = 0
    for step in range(400):
        script.now += 1
        if chance.random() < 0.4:
            script.now += 10_000 * chance.choice([1, 2, 7, 30, 110])
        now = script.now / 1e6 - 1_700_000_000
        if chance.random() < 0.7:
            indexes = (0, 1) if chance.random() > busy else (1,)
            limits = CHOICES[0 if len(indexes) == 2 else 1]
            ahead = chance.choice([0, 0, 1, 5, 50])
            expected = max(model.windows[index].wait(now, ahead) for index in indexes)
            assert script.wait(limits, ahead=ahead) == pytest.approx(expected, abs=0.001), f"step {step}"
            if ahead == 0 and expected == 0:
                flying.append(script.take(limits))
                model.take(flying[-1], indexes, now)
                granted += 1
        if flying and chance.random() < 0.6:
            permit = flying.pop(chance.randrange(len(flying)))
            told: list[Allowance] = []
            if chance.random() < 0.4:
                limit = chance.choice([3, 20, 40])
                resets_in = chance.choice([None, 0.105, 0.505])
                begins_anew = resets_in is not None and chance.random() < 0.5
                told.append(Allowance(limit, 1.0, chance.randint(0, limit), resets_in, begins_anew))
            refused = chance.random() < 0.2
            script.settle(permit, told=told, retry_after=0.0 if refused else None)
            model.settle(permit, told, now, refused=refused)
    assert granted > 20


def test_a_pause_is_cut_and_then_one_call_probes(script: Script) -> None:
    script.settle(script.take(TEN), retry_after=86_400)
    answer = script.ask(encoded(TEN), "early")
    assert isinstance(answer, Refused)
    assert answer.pause == pytest.approx(900, abs=0.01)
    script.sleep(900)
    probe = script.take(TEN)
    answer = script.ask(encoded(TEN), "other")
    assert isinstance(answer, Refused)
    assert 0 < answer.pause <= 1
    script.settle(probe)
    script.take(TEN)
    script.take(TEN)


def test_a_probe_that_is_refused_pauses_anew(script: Script) -> None:
    script.settle(script.take(TEN), retry_after=5_000)
    script.sleep(900)
    script.settle(script.take(TEN), retry_after=5_000)
    answer = script.ask(encoded(TEN), "x")
    assert isinstance(answer, Refused)
    assert answer.pause == pytest.approx(900, abs=0.01)


def test_a_probe_whose_process_has_died_or_gave_it_back_is_not_waited_for(script: Script) -> None:
    script.settle(script.take(TEN), retry_after=5_000)
    script.sleep(900)
    script.release(script.take(TEN))
    script.take(TEN, lease=20)  # the next probe
    assert isinstance(script.ask(encoded(TEN), "x"), Refused)
    script.sleep(20)
    script.take(TEN)
    script.take(TEN)


def test_a_spent_day_that_no_limit_is_about_is_known_to_all(script: Script) -> None:
    older = script.take(TEN)
    script.sleep(0.001)
    newer = script.take(TEN)
    script.settle(newer, told=[Allowance(1_000, 86_400.0, 0, 40_000.0, begins_anew=True)])
    script.settle(older, told=[Allowance(1_000, 86_400.0, 5, 40_000.0, begins_anew=True)])
    answer = script.ask(encoded(TEN), "x")
    assert isinstance(answer, Refused)
    assert answer.pause == pytest.approx(40_000, abs=0.01)
    script.sleep(39_999)
    assert isinstance(script.ask(encoded(TEN), "x"), Refused)
    script.sleep(1)
    script.take(TEN)


def test_newer_knowledge_ends_a_spent_day(script: Script) -> None:
    older, newer = script.take(TEN), script.take(TEN)
    script.settle(older, told=[Allowance(1_000, 86_400.0, 0, 40_000.0, begins_anew=True)])
    script.settle(newer, told=[Allowance(1_000, 86_400.0, 7, 40_000.0, begins_anew=True)])
    script.take(TEN)


def tell(script: Script, tokens: Tokens, *, born: int = 0) -> Granted | Unfamiliar:
    how, now_born = script.run("tell", tokens.id, born, *tokens.rows(), round(LEASE * 1e6))
    return Granted(now_born) if how == 1 else Unfamiliar(now_born)


def test_what_a_process_tells_counts_once_however_often_it_is_told(script: Script) -> None:
    (extent,) = extents_of(TEN[0])
    now = time.monotonic()
    tokens = Tokens("told", ((extent, ((now + 4, 3), (now + 6, 2))),), (("flying", encoded(TEN)),))
    for _ in range(3):
        assert isinstance(tell(script, tokens), Granted)
    assert [script.wait(TEN, ahead=ahead) > 0 for ahead in (3, 4)] == [False, True]
    script.sleep(4.1)
    assert [script.wait(TEN, ahead=ahead) > 0 for ahead in (6, 7)] == [False, True]
    script.settle(Permit("flying", encoded(TEN)))
    script.sleep(2)
    assert [script.wait(TEN, ahead=ahead) > 0 for ahead in (8, 9)] == [False, True]
    assert script.redis.hkeys("key") == [b"state"]


def test_who_holds_tokens_that_this_state_does_not_know_is_told_so(script: Script) -> None:
    first = script.ask(encoded(TEN), "before", born=0, holds=False)
    assert isinstance(first, Granted)
    script.redis.delete("key")
    script.sleep(1)
    answer = script.ask(encoded(TEN), "after", born=first.born, holds=True)
    assert isinstance(answer, Unfamiliar)
    assert isinstance(tell(script, Tokens("x", (), ()), born=first.born), Unfamiliar)
    assert isinstance(tell(script, Tokens("x", (), (("before", encoded(TEN)),)), born=answer.born), Granted)
    pause = script.ask(encoded(TEN), "after", born=answer.born, holds=True)
    assert isinstance(pause, Refused)  # so that the others have time to speak
    assert 1 < pause.pause < 2
    script.sleep(pause.pause)
    for _ in range(9):
        script.take(TEN)
    assert script.wait(TEN) > 0


def test_much_that_is_told_is_remembered_together_and_comes_back_late_rather_than_early(script: Script) -> None:
    (extent,) = extents_of(RateLimit(500, per=100))
    limits = (RateLimit(500, per=100),)
    for number in range(20):
        coming = tuple((time.monotonic() + 1 + 4 * index + number / 10, 1) for index in range(20))
        tell(script, Tokens(str(number), ((extent, coming),), ()))
    assert script.redis.memory_usage("key") <= 4096
    free: list[int] = []
    for step in range(9):
        free.append(sum(script.wait(limits, ahead=ahead) == 0 for ahead in range(0, 500, 5)) * 5)
        assert free[-1] <= 100 + 20 * (step * 10 / 4 + 2)
        script.sleep(10)
    assert free == sorted(free)
    assert free[0] == 100
    assert script.wait(limits, ahead=499) == 0
