"""Which requests meet a fault, and how long it lasts."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Injection, Sandbox, faults
from tests.testing.faulty import BOTS, FOREVER, Heard, answer_to, create, request
from tests.testing.tools import HERE, ok, refused


@pytest.mark.parametrize("on", ["create_bot", "POST /conversations/bots", " post  /conversations/bots "])
def test_one_operation_meets_the_fault(sandbox: Sandbox, api: httpx.Client, on: str) -> None:
    injection = sandbox.inject(faults.Status(500), on=on)
    assert injection.on == "create_bot"
    refused(create(api), 500)
    ok(api.get(BOTS, params=HERE))
    assert injection.hits == 1
    assert repr(injection).startswith("<Injection of Status(status=500")


def test_a_route_is_that_of_every_id(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.Status(500), on="GET /conversations/bots/{botId}")
    refused(api.get(f"{BOTS}/bot_1", params=HERE), 500)
    refused(api.get(f"{BOTS}/other", params=HERE), 500)


def test_everything_is_everything(sandbox: Sandbox, api: httpx.Client) -> None:
    link = ok(api.get("/voice-ai/calls/call_1/recording", params=HERE))["url"]
    injection = sandbox.inject(faults.Status(502), on="*")
    for answer in (httpx.get(link), api.get("/nowhere"), api.delete(BOTS), create(api)):
        refused(answer, 502)
    assert injection.hits == 4


@pytest.mark.parametrize(
    ("on", "words"),
    [
        ("send_mesage", "Did you mean 'send_message'"),
        ("POST /conversations/mesages", "'POST /conversations/messages'"),
        ("GET /conversations/conversation_1", "Did you mean 'GET /conversations/{conversationId}'?"),
        ("PATCH /conversations/messages", "Did you mean 'POST /conversations/messages'"),
        ("xyz", "Name an operation by its id."),
        ("", "Name an operation by its id."),
    ],
)
def test_what_is_no_operation_is_refused_at_once(sandbox: Sandbox, on: str, words: str) -> None:
    with pytest.raises(ValueError, match="There is no operation") as caught:
        sandbox.inject(faults.Drop(), on=on)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"times": 0}, {"times": 1.5}, {"times": True}, {"rate": -0.1}, {"rate": 1.1}, {"rate": "all"}, {"seed": 1}],
    ids=repr,
)
def test_wrong_options_are_refused_at_once(sandbox: Sandbox, options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        sandbox.inject(faults.Drop(), on="*", **options)


def test_what_is_no_fault_is_refused_at_once(sandbox: Sandbox) -> None:
    forgotten: Any = faults.Drop
    with pytest.raises(TypeError, match=r"takes a fault such as `faults.Drop\(\)`"):
        sandbox.inject(forgotten, on="*")


def test_times_are_counted(sandbox: Sandbox, api: httpx.Client) -> None:
    injection = sandbox.inject(faults.Status(500), on="list_bots", times=2)
    assert [api.get(BOTS, params=HERE).status_code for _ in range(4)] == [500, 500, 200, 200]
    assert injection.hits == 2


def test_the_oldest_fault_goes_first(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.Status(500), on="list_bots", times=1)
    sandbox.inject(faults.Status(502), on="*", times=2)
    assert [api.get(BOTS, params=HERE).status_code for _ in range(4)] == [500, 502, 502, 200]


def test_a_share_is_drawn_and_repeats_with_its_seed(sandbox: Sandbox, api: httpx.Client) -> None:
    def drawn(seed: int) -> list[int]:
        with sandbox.inject(faults.Status(500), on="list_bots", rate=0.5, seed=seed) as injection:
            statuses = [api.get(BOTS, params=HERE).status_code for _ in range(40)]
        assert injection.hits == statuses.count(500)
        return statuses

    first = drawn(1)
    assert 5 < first.count(500) < 35
    assert drawn(1) == first
    assert drawn(2) != first


def test_a_share_of_none_and_of_all(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.inject(faults.Status(500), on="list_bots", rate=0)
    sandbox.inject(faults.Status(502), on="list_bots", rate=1, times=3)
    assert [api.get(BOTS, params=HERE).status_code for _ in range(4)] == [502, 502, 502, 200]


def test_a_fault_ends_with_its_block_by_hand_with_all_and_at_a_reset(sandbox: Sandbox, api: httpx.Client) -> None:
    def inject() -> Injection:
        return sandbox.inject(faults.Status(500), on="list_bots")

    def status() -> int:
        return api.get(BOTS, params=HERE).status_code

    with inject():
        assert status() == 500
    assert status() == 200
    injection = inject()
    assert status() == 500
    injection.remove()
    injection.remove()
    assert status() == 200
    for end in (sandbox.clear_faults, sandbox.reset):
        inject()
        inject()
        assert status() == 500
        end()
        assert status() == 200


def test_equal_faults_are_two(sandbox: Sandbox, api: httpx.Client) -> None:
    first, second = (sandbox.inject(faults.Status(500), on="list_bots", times=1) for _ in range(2))
    second.remove()
    assert [api.get(BOTS, params=HERE).status_code for _ in range(2)] == [500, 200]
    assert (first.hits, second.hits) == (1, 0)


def test_a_reset_during_a_fault_leaves_no_line_of_it() -> None:
    heard = Heard()
    with Sandbox(tier=None, on_request=heard) as sandbox:
        sandbox.inject(faults.Latency(FOREVER), on="list_bots")
        sandbox.inject(faults.Drop(), on="get_bot")
        with request(sandbox):
            answer_to(sandbox, path=f"{BOTS}/bot_1")
            sandbox.reset()
            assert sandbox.requests == ()
        heard.wait(2)
        assert sandbox.requests == ()
