"""What the sandbox does with a request before its handler sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.document import read_document
from dialogkit.testing.engine.schemas import Schemas
from dialogkit.testing.engine.validation import RequestReader
from tests.testing.tools import HERE, VERSION, Clock, client_of, ok, refused

READER = RequestReader(read_document("hoopai.yaml"), Schemas(read_document("hoopai.yaml")))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic sandbox-key", "sandbox-key"])
def test_who_has_no_valid_token_gets_401(sandbox: Sandbox, header: str | None) -> None:
    headers = VERSION if header is None else {"Authorization": header, **VERSION}
    message = refused(httpx.get(f"{sandbox.url}/conversations/bots", headers=headers, params=HERE), 401)
    assert "token" in message or "Authorization" in message


def test_the_scheme_is_written_in_any_case(sandbox: Sandbox) -> None:
    headers = {"Authorization": f"bearer {sandbox.api_key}", **VERSION}
    ok(httpx.get(f"{sandbox.url}/conversations/bots", headers=headers, params=HERE))


def test_401_comes_before_everything_else(sandbox: Sandbox) -> None:
    refused(httpx.get(f"{sandbox.url}/conversations/bots"), 401)


@pytest.mark.parametrize(
    ("version", "message"),
    [(None, "version header was not found."), ("2019-01-01", "version header is invalid"), ("2021-04-15", None)],
)
def test_the_version_header_must_be_known(sandbox: Sandbox, version: str | None, message: str | None) -> None:
    headers = {"Authorization": f"Bearer {sandbox.api_key}", **({} if version is None else {"Version": version})}
    answer = httpx.get(f"{sandbox.url}/conversations/bots", headers=headers, params=HERE)
    if message is None:
        ok(answer)
    else:
        assert refused(answer, 401) == message
        assert answer.json()["error"] == "Unauthorized"


@pytest.fixture(scope="module")
def lenient() -> Iterator[httpx.Client]:
    with Sandbox(tier=None, lenient=True, validate_responses=True) as sandbox, client_of(sandbox) as api:
        yield api


def test_leniently_any_version_will_do(lenient: httpx.Client) -> None:
    ok(lenient.get("/conversations/bots", headers={"Version": "2019-01-01"}, params=HERE))
    message = refused(lenient.get("/conversations/bots", headers={"Version": ""}, params=HERE), 400)
    assert message == "the header Version should not be empty"


def test_a_missing_scope_is_named(sandbox: Sandbox) -> None:
    token = sandbox.add_token("conversations.readonly", "conversations/message.readonly")
    with client_of(sandbox, token) as api:
        ok(api.get("/conversations/conversation_1"))
        ok(api.get("/conversations/bots", params=HERE))  # which names no scope
        message = refused(api.put("/conversations/conversation_1", json=HERE), 401)
    assert message == "The token is not authorized for this scope."


def test_a_private_token_reaches_its_location_only_and_may_lapse(sandbox: Sandbox) -> None:
    other = sandbox.add_location("loc_other")
    with client_of(sandbox, sandbox.add_token(location_id=other, expires_in=60)) as api:
        ok(api.get("/conversations/bots", params={"locationId": other}))
        refused(api.get("/conversations/bots", params=HERE), 403)
        sandbox.advance(60)
        assert refused(api.get("/conversations/bots", params={"locationId": other}), 401) == "The token has expired"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nowhere"), ("GET", "/conversations/bots/"), ("GET", "/")])
def test_unknown_paths_get_404(api: httpx.Client, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert refused(answer, 404) == f"Cannot {method} {path}"
    assert answer.json()["error"] == "Not Found"


def test_unknown_methods_get_405_with_what_is_allowed(api: httpx.Client) -> None:
    answer = api.request("PATCH", "/conversations/bots")
    refused(answer, 405)
    assert answer.headers["Allow"] == "GET, POST"
    assert api.request("HEAD", "/conversations/bots").status_code == 405


def test_what_is_missing_gets_400_and_what_is_wrong_422(api: httpx.Client) -> None:
    search = "/conversations/search"
    assert refused(api.get(search), 400) == "locationId should not be empty"
    answer = api.get(search, params={**HERE, "limit": "many", "sort": "up"})
    assert isinstance(answer.json()["message"], list)
    assert answer.json()["error"] == "Unprocessable Entity"
    assert "limit must be an integer number" in refused(answer, 422)
    assert refused(api.get(search, params={"limit": "many"}), 400) == "locationId should not be empty"


def test_parameters_that_are_required_together(api: httpx.Client) -> None:
    logs = "/voice-ai/dashboard/call-logs"
    assert "together" in refused(api.get(logs, params={**HERE, "startDate": 1}), 400)
    ok(api.get(logs, params={**HERE, "startDate": 1, "endDate": 2}))


def test_a_parameter_that_comes_twice_is_a_list(api: httpx.Client) -> None:
    refused(api.get("/conversations/", params=[("limit", "1"), ("limit", "2")]), 422)
    ok(api.get("/conversations/search", params={**HERE, "startAfterDate": [5, 6]}))
    ok(api.get("/conversations/search", params={**HERE, "startAfterDate[]": [5, 6]}))  # as an official client writes it


BOT = {**HERE, "name": "B", "systemPrompt": ""}


def test_unknown_parameters_and_properties_are_refused_by_name(api: httpx.Client) -> None:
    answer = api.get("/conversations/", params={"colour": "red", "size": "9"})
    refused(answer, 422)
    assert answer.json()["message"] == ["property colour should not exist", "property size should not exist"]
    assert answer.json()["error"] == "Unprocessable Entity"
    answer = api.post("/conversations/bots", json={**BOT, "colour": "red"})
    assert answer.json()["message"] == ["property colour should not exist"]


def test_what_is_nested_is_named_with_its_place(api: httpx.Client) -> None:
    hours = {
        "dayOfTheWeek": 1,
        "intervals": [{"startHour": 9, "startMinute": 0, "endHour": 17, "endMinute": 0, "x": 1}],
    }
    answer = api.post("/voice-ai/agents", json={**HERE, "agentWorkingHours": [hours]})
    assert refused(answer, 422) == "agentWorkingHours.0.intervals.0.property x should not exist"
    call = {**HERE, "type": "Call", "conversationId": "conversation_1", "call": {"to": "+1", "colour": "red"}}
    assert refused(api.post("/conversations/messages/inbound", json={**call}), 422).startswith("property locationId")


def test_what_is_unknown_in_a_member_of_a_union_is_found(api: httpx.Client) -> None:
    details = {"workflowIds": ["w"], "triggerCondition": "c", "colour": "red"}
    action = {"type": "triggerWorkflow", "name": "N", "details": details}
    answer = api.post("/conversation-ai/agents/agent_1/actions", json=action)
    assert refused(answer, 422) == "details.property colour should not exist"


def test_free_objects_may_have_anything() -> None:
    with Sandbox(platform="hoverbot", tier=None) as sandbox, client_of(sandbox) as api:
        ok(api.post("/v1/conversations", json={"channel": "web", "metadata": {"a": {"b": 1}}, "unknown": "is taken"}))


def test_leniently_unknown_parameters_and_properties_are_let_through(lenient: httpx.Client) -> None:
    ok(lenient.get("/conversations/", params={"colour": "red"}))
    ok(lenient.post("/conversations/bots", json={**BOT, "colour": "red"}))
    ok(lenient.get("/conversation-ai/agents/search", params=HERE))


def test_a_search_for_agents_takes_no_location(api: httpx.Client) -> None:
    message = refused(api.get("/conversation-ai/agents/search", params=HERE), 422)
    assert message == "property locationId should not exist"
    ok(api.get("/conversation-ai/agents/search"))


def test_a_lone_date_is_a_date(api: httpx.Client) -> None:
    dates = {"startDate": "2026-01-01", "endDate": "2100-12-31"}
    assert ok(api.get("/voice-ai/calls", params={**HERE, **dates}))["total"] == 1
    assert "startDate" in refused(api.get("/voice-ai/calls", params={**HERE, "startDate": "2026-13-01"}), 422)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": Infinity}',
        b"null",
        b"\xff",
        b'"\\ud800"',
        b"[" * 100_000,
        b"1" * 5000,
        b"[]",
    ],
)
def test_bodies_that_are_no_json_object(api: httpx.Client, content: bytes) -> None:
    answer = api.post("/conversations/", content=content, headers={"Content-Type": "application/json"})
    refused(answer, 422 if content == b"[]" else 400)


def test_bodies_of_another_type(api: httpx.Client) -> None:
    body = json.dumps({**HERE, "contactId": "c"}).encode()
    refused(api.post("/conversations/", content=body), 400)
    refused(api.post("/conversations/", content=body, headers={"Content-Type": "text/plain"}), 400)
    ok(api.post("/conversations/", content=body, headers={"Content-Type": "Application/JSON; charset=utf-8"}))


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", "text/plain"]
)
def test_forms_that_cannot_be_read(api: httpx.Client, content_type: str) -> None:
    upload = "/conversations/messages/upload"
    refused(api.post(upload, content=b"--y\r\n", headers={"Content-Type": content_type}), 400)


def test_a_location_out_of_reach_gets_403_wherever_it_is_named(api: httpx.Client, sandbox: Sandbox) -> None:
    elsewhere = {"locationId": "loc_other"}
    conversation = ok(api.get("/conversations/", params=HERE))["conversations"][0]["id"]
    form = {"conversationId": conversation, **elsewhere, "attachmentUrls": "https://example.com/a.png"}
    parts: Any = {name: (None, value) for name, value in form.items()}

    def calls() -> list[httpx.Response]:
        return [
            api.get("/conversations/bots", params=elsewhere),
            api.get("/conversations/", params=elsewhere),
            api.post("/conversations/", json={**elsewhere, "contactId": "c"}),
            api.get("/conversations/locations/loc_other/messages/message_call/transcription"),
            api.post("/conversations/messages/upload", files=parts),
        ]

    assert [answer.status_code for answer in calls()] == [403, 403, 403, 403, 403]
    sandbox.add_location("loc_other")
    assert [answer.status_code for answer in calls()] == [200, 200, 201, 404, 404]


def test_rows_of_another_location_are_out_of_sight(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_location("loc_other")
    (bot,) = ok(api.get("/conversations/bots", params=HERE))["bots"]
    refused(api.get(f"/conversations/bots/{bot['id']}", params={"locationId": "loc_other"}), 404)
    assert ok(api.get("/conversations/bots", params={"locationId": "loc_other"}))["total"] == 0


def test_the_log_holds_no_secret(api: httpx.Client, sandbox: Sandbox) -> None:
    api.get("/conversations/bots", params=HERE)
    api.get("/nowhere%0A", params={"token": "secret"})
    assert [(r.method, r.path, r.operation_id, r.status) for r in sandbox.requests] == [
        ("GET", "/conversations/bots", "list_bots", 200),
        ("GET", "/nowhere%0A", None, 404),
    ]
    assert "secret" not in repr(sandbox.requests)
    assert sandbox.api_key not in repr(sandbox.requests)


def test_an_oauth_token_is_good_for_its_location_until_it_expires(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.add_location("loc_other")
    form = {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret, "grant_type": "authorization_code"}
    code = sandbox.authorize(location_id="loc_other")
    token = ok(httpx.post(f"{sandbox.url}/oauth/token", data={**form, "code": code}))["access_token"]
    with client_of(sandbox, token) as api:
        assert ok(api.get("/conversations/"))["total"] == 0
        refused(api.get("/conversations/bots", params=HERE), 403)
        refused(api.get("/conversations/conversation_1"), 404)
        clock.now += 86_400
        assert refused(api.get("/conversations/"), 401) == "The token has expired"


def coerced(schema: dict[str, Any], texts: list[str]) -> Any:
    return READER.coerce_all(schema, texts)


@given(st.integers(-(10**20), 10**20))
def test_integers_are_read(number: int) -> None:
    assert coerced({"type": "integer"}, [str(number)]) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read(number: float) -> None:
    assert coerced({"type": "number"}, [repr(number)]) == number


@given(st.lists(st.sampled_from(["true", "false"]), min_size=1))
def test_repeated_keys_are_read(texts: list[str]) -> None:
    schema = {"type": "array", "items": {"type": "boolean"}}
    assert coerced(schema, texts) == [text == "true" for text in texts]


@pytest.mark.parametrize(
    ("schema", "texts"),
    [
        ({"type": "integer"}, ["1.0"]),
        ({"type": "integer"}, ["1", "2"]),
        ({"type": "integer"}, [""]),
        ({"type": "integer"}, ["\u0661"]),
        ({"type": "number"}, ["nan"]),
        ({"type": "number"}, ["x"]),
        ({"type": "boolean"}, ["True"]),
        ({"oneOf": [{"type": "string"}]}, ["1", "2"]),
    ],
)
def test_what_does_not_fit_stays_text(schema: dict[str, Any], texts: list[str]) -> None:
    assert coerced(schema, texts) == (texts if len(texts) > 1 else texts[0])
