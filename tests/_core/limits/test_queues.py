"""Those who wait."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.limits.queues import Queue


@dataclass(eq=False)
class Waiter:
    give_up: float | None
    place: int = 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.none() | st.floats(0, 100)),
        st.tuples(st.just("leave"), st.floats(0, 0.999)),
    ),
    max_size=80,
)


@given(steps=steps)
def test_a_queue_is_a_list_that_knows_its_ends_and_who_gives_up_first(steps: list[tuple[str, float | None]]) -> None:
    queue, model = Queue[Waiter](), list[Waiter]()
    for step, number in steps:
        if step == "join":
            model.append(Waiter(number))
            queue.join(model[-1])
        elif model:
            queue.leave(model.pop(int((number or 0) * len(model))))
        assert list(queue) == model
        assert len(queue) == len(model)
        if not model:
            continue
        assert queue.head is model[0]
        assert queue.last is model[-1]
        for index, waiter in enumerate(model):
            ahead = queue.ahead_of(waiter)
            assert ahead <= index
            assert (ahead == 0) == (index == 0)
        assert queue.ahead_of(model[-1]) == len(model) - 1
        deadlines = [waiter.give_up for waiter in model if waiter.give_up is not None]
        hopeless = queue.likely_hopeless()
        assert bool(hopeless) == bool(deadlines)
        if deadlines:
            assert hopeless[0].give_up == min(deadlines)
            assert hopeless[-1] in (hopeless[0], model[-1])


@given(joined=st.integers(1, 200), left=st.integers(0, 200))
def test_a_place_is_known_exactly_while_only_heads_leave(joined: int, left: int) -> None:
    queue, waiters = Queue[Waiter](), [Waiter(None) for _ in range(joined)]
    for waiter in waiters:
        queue.join(waiter)
    for waiter in waiters[: min(left, joined - 1)]:
        queue.leave(waiter)
    assert [queue.ahead_of(waiter) for waiter in queue] == list(range(len(queue)))
