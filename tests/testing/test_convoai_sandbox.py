"""ConvoAI's sandbox, over plain HTTP: agents, messages, webhooks, plans, keys, refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox, Tier
from dialogkit.testing import __main__ as command
from dialogkit.testing.convoai import agents
from tests.support.endpoint import Endpoint
from tests.testing.tools import Clock, ok

pytest_plugins = ("pytester",)

NEW = {"name": "Ada", "phone_number_id": "1", "waba_id": "2", "access_token": "EAAGexampletoken"}
TEXT = {"to": "+14155550199", "type": "text", "text": "Hello!"}
DOCUMENT = {"title": "Hours", "content": "9 to 5", "doc_type": "text"}


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def _server(clock: Clock) -> Iterator[Sandbox[Any]]:
    with Sandbox(platform="convoai", tier=None, validate_responses=True, clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_server: Sandbox[Any], clock: Clock) -> Sandbox[Any]:
    clock.now = Clock.START
    _server.reset()
    return _server


@pytest.fixture
def api(sandbox: Sandbox[Any]) -> Iterator[httpx.Client]:
    with client_of(sandbox) as client:
        yield client


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def client_of(sandbox: Sandbox[Any], key: str | None = None) -> httpx.Client:
    return httpx.Client(base_url=sandbox.url, headers={"Authorization": f"Bearer {key or sandbox.api_key}"})


def test_it_starts_with_rows_that_have_fixed_ids(api: httpx.Client) -> None:
    listed = ok(api.get("/agents/"))
    assert listed["count"] == 2
    assert [(each["id"], each["status"]) for each in listed["results"]] == [("agent_1", "active"), ("agent_2", "draft")]
    assert listed["results"][0].keys() == {"id", "name", "status", "phone_number", "created_at"}, "the short form"
    assert listed["results"][0]["created_at"] == "2027-01-15T08:00:00Z", "whole seconds"
    assert ok(api.get("/agents/agent_1/"))["knowledge_count"] == 1
    with Sandbox(platform="convoai", seed=False) as empty, client_of(empty) as other:
        assert ok(other.get("/agents/")) == {"count": 0, "results": []}


@pytest.mark.parametrize(("tier", "plan"), [("free", "free"), ("enterprise", "enterprise"), (None, "enterprise")])
def test_the_account_has_the_plan_of_its_limits(tier: Tier | None, plan: str) -> None:
    with Sandbox(platform="convoai", tier=tier) as sandbox, client_of(sandbox) as api:
        assert ok(api.get("/me/"))["plan"] == plan


def test_the_meta_token_is_not_given_back(sandbox: Sandbox[Any], api: httpx.Client) -> None:
    created = api.post("/agents/", json=NEW)
    assert created.status_code == 201
    for answer in (created, api.get(f"/agents/{created.json()['id']}/"), api.get("/agents/")):
        assert "EAAG" not in answer.text
    assert "EAAG" not in str(list(agents(sandbox.app.state)))


def test_a_conversation_lasts_24_hours(
    api: httpx.Client, sandbox: Sandbox[Any], clock: Clock, endpoint: Endpoint
) -> None:
    sandbox.webhooks.register(endpoint.url)

    def begun() -> int:
        answer = api.post("/agents/agent_1/messages/", json=TEXT)
        assert (answer.status_code, answer.json()["status"]) == (201, "queued")
        return len(sandbox.deliveries)

    assert [begun(), begun()] == [1, 1]
    clock.now += 86_399
    assert begun() == 1
    clock.now += 2
    assert begun() == 2
    ok(api.post("/agents/agent_1/messages/", json={**TEXT, "to": "+14155550198"}))
    ok(api.post("/agents/agent_2/messages/", json=TEXT))
    assert len(sandbox.deliveries) == 4
    sandbox.webhooks.wait()


def test_webhooks_get_the_events_of_their_agent_only(
    api: httpx.Client, sandbox: Sandbox[Any], endpoint: Endpoint
) -> None:
    def create(**values: Any) -> Any:
        return ok(api.post("/agents/agent_1/webhooks/", json={"url": endpoint.url, "events": ["*"], **values}))

    hook = create(events=["message.received", "handoff.requested"], description="Mine")
    assert (hook["agent_id"], hook["active"], hook["description"]) == ("agent_1", True, "Mine")
    assert hook["secret"].startswith("whsec_")
    assert len(hook["secret"]) >= 32
    for event, agent in (("message.received", "agent_2"), ("lead.qualified", "agent_1")):
        with pytest.raises(LookupError):
            sandbox.webhooks.emit(event, {"agent_id": agent})
    sandbox.webhooks.emit("handoff.requested", {"agent_id": "agent_1"})
    create(active=False)
    sandbox.webhooks.wait()
    assert len(endpoint.received) == 1
    assert len(sandbox.webhooks.registrations) == 1
    ok(api.delete("/agents/agent_1/"))
    assert not sandbox.webhooks.registrations


def test_an_endpoint_elsewhere_is_registered_but_never_called(
    api: httpx.Client, sandbox: Sandbox[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "dialogkit.testing"):
        ok(api.post("/agents/agent_1/webhooks/", json={"url": "https://app.example.com/hooks", "events": ["*"]}))
    assert not sandbox.webhooks.registrations
    assert "https://app.example.com/hooks is registered, but gets no events" in caplog.text
    assert "whsec_" not in caplog.text


# --------------------------------------------------------------------------------------------------- plans and keys


def test_headers_tell_of_the_minute() -> None:
    clock, monotonic = Clock(), Clock()
    monotonic.now = 1000.0
    with Sandbox(platform="convoai", clock=clock, monotonic=monotonic) as sandbox, client_of(sandbox) as api:
        first = api.get("/me/")
        assert [first.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")] == [
            "30",
            "29",
            str(int(Clock.START) + 60),
        ]
        assert api.get("/agents/nobody/").headers["X-RateLimit-Remaining"] == "28", "refusals tell, too"
        answers = [api.get("/me/") for _ in range(29)]
        assert [answer.status_code for answer in answers] == [200] * 28 + [429]
        refused = answers[-1]
        assert (refused.headers["X-RateLimit-Remaining"], refused.headers["Retry-After"]) == ("0", "60")
        assert refused.json() == {"detail": "Too Many Requests"}
        with client_of(sandbox, "ck_live_sandbox") as live:
            assert live.get("/me/").headers["X-RateLimit-Remaining"] == "29", "each key is counted apart"
        monotonic.now += 60
        assert api.get("/me/").headers["X-RateLimit-Remaining"] == "29"


@pytest.mark.parametrize(
    ("path", "body", "limit", "seconds"),
    [("/agents/agent_1/messages/", TEXT, 60, 3_600), ("/agents/agent_1/knowledge/", DOCUMENT, 20, 86_400)],
)
def test_three_buckets(path: str, body: Any, limit: int, seconds: int) -> None:
    monotonic = Clock()
    monotonic.now = 0.0
    with Sandbox(platform="convoai", tier="free", monotonic=monotonic) as sandbox, client_of(sandbox) as api:
        for _ in range(limit):
            assert api.post(path, json=body).status_code == 201
            monotonic.now += 3
        refused = api.post(path, json=body)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) == seconds - 3 * limit, "of the bucket that is empty"
        assert int(refused.headers["X-RateLimit-Remaining"]) > 0, "the headers mean the minute"
        assert api.get("/me/").status_code == 200, "others go on"
        monotonic.now += seconds - 3 * limit
        assert api.post(path, json=body).status_code == 201


def test_enterprise_has_no_bound_for_messages() -> None:
    with Sandbox(platform="convoai", tier="enterprise", monotonic=Clock()) as sandbox, client_of(sandbox) as api:
        assert {api.post("/agents/agent_1/knowledge/", json=DOCUMENT).status_code for _ in range(30)} == {201}
        assert api.get("/me/").headers["X-RateLimit-Limit"] == "3000"


def test_keys() -> None:
    with Sandbox(platform="convoai", api_key="ck_live_own") as sandbox:
        for key, status in [("ck_live_own", 200), ("ck_live_sandbox", 200), ("ck_test_sandbox", 401), ("x", 401)]:
            answer = httpx.get(f"{sandbox.url}/me/", headers={"Authorization": f"Bearer {key}"})
            assert answer.status_code == status
        assert httpx.get(f"{sandbox.url}/me/").json().keys() == {"detail"}


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("route", "body", "status", "message"),
    [
        ("POST /agents/", {**NEW, "name": 7}, 400, "name must be a string"),
        ("POST /agents/", {}, 400, "waba_id should not be empty"),
        ("POST /agents/agent_1/messages/", {**TEXT, "to": "4155550199"}, 400, "E.164"),
        ("POST /agents/agent_1/messages/", {**TEXT, "type": "image"}, 400, "type must be one of"),
        ("POST /agents/agent_1/webhooks/", {"url": "https://a.example", "events": ["x"]}, 400, "events.0"),
        ("POST /agents/nobody/pause/", None, 404, "no agent with the id 'nobody'"),
        ("GET /agents", None, 404, "Cannot GET /api/v1/agents"),
        ("PUT /agents/agent_1/", {}, 405, "takes DELETE, GET, PATCH"),
    ],
)
def test_refusals(api: httpx.Client, route: str, body: Any, status: int, message: str) -> None:
    answer = api.request(*route.split(), json=body)
    assert answer.status_code == status
    assert answer.json().keys() == {"detail"}
    assert message in answer.json()["detail"]


# ------------------------------------------------------------------------------------------------------ the command


def greeting(*arguments: str) -> str:
    options = command._parse([*arguments, "--port", "0"])
    with Sandbox(port=0, **command._limits(options.tier), platform=options.platform) as sandbox:
        hooks = [command._register(sandbox, url, options.webhook_secret) for url in options.webhook]
        return command._greeting(sandbox, hooks, secret_is_known=bool(options.webhook_secret))


def test_the_command_says_how_to_reach_each_platform() -> None:
    convoai = greeting("--platform", "convoai", "--tier", "pro", "--webhook", "http://127.0.0.1:9/")
    assert "ConvoAI sandbox at http://127.0.0.1:" in convoai
    assert 'ConvoAI("ck_test_sandbox", base_url="http://127.0.0.1:' in convoai
    assert 'call ConvoAI(plan="pro")' in convoai
    assert "export CONVOAI_API_KEY=ck_test_sandbox" in convoai
    assert "signed with the secret " in convoai
    assert "location" not in convoai
    assert "plan=None" in greeting("--platform", "convoai", "--tier", "none")
    hoverbot = greeting("--platform", "hoverbot", "--webhook", "http://127.0.0.1:9/", "--webhook-secret", "hush-hush")
    assert "export HOVERBOT_BASE_URL=http://127.0.0.1:" in hoverbot
    assert "call HoverBot():" in hoverbot
    assert "hush" not in hoverbot


def test_the_pytest_fixture_can_be_another_platform_s(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ndialogkit_platform = convoai\ndialogkit_tier = pro\n")
    pytester.makepyfile("def test_one(dialogkit_sandbox): assert dialogkit_sandbox.api_key == 'ck_test_sandbox'")
    pytester.runpytest_inprocess("-p", "no:asyncio").assert_outcomes(passed=1)
    pytester.makeini("[pytest]\ndialogkit_platform = parley\n")
    result = pytester.runpytest_inprocess("-p", "no:asyncio")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*dialogkit_platform must be one of hoopai, hoverbot, convoai, not parley*"])


def test_the_command_refuses_another_platform_s_tier(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--platform", "convoai", "--tier", "agency", "--port", "0"]) == 1
    assert "ConvoAI has the tiers free, pro, enterprise, not 'agency'" in capsys.readouterr().err
