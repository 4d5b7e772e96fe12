"""Preferences and OAuth."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, client_of, ok, refused

SUBTYPES = "/conversations/preferences/custom-subtypes"
STATUS = "/conversations/preferences/unsubscriptions/status"
CHANGE = "/conversations/preferences/unsubscriptions/user-change"
NEWS = {"name": "News", "channel": "email", "language": "en"}


def test_categories(api: httpx.Client) -> None:
    subtype = ok(api.post(SUBTYPES, params=HERE, json=NEWS))
    changed = ok(api.put(f"{SUBTYPES}/{subtype['id']}", params=HERE, json={"archived": True}))
    assert changed == {**subtype, "archived": True}
    assert ok(api.get(SUBTYPES, params=HERE)) == {"customSubtypes": [changed]}
    refused(api.put(f"{SUBTYPES}/nothing", params=HERE, json={}), 404)
    refused(api.post(SUBTYPES, params=HERE, json={**NEWS, "name": "x" * 101}), 422)


def test_unsubscriptions(api: httpx.Client) -> None:
    subtype = ok(api.post(SUBTYPES, params=HERE, json=NEWS))["id"]
    body: dict[str, Any] = {**HERE, "contactId": "contact_1", "email": "a@example.com"}

    def change(**action: str) -> httpx.Response:
        return api.post(CHANGE, json={**body, "subscription_action": action})

    def states(**query: str) -> list[str]:
        answer = ok(api.get(STATUS, params={**HERE, "contactId": "contact_1", **query}))
        return [row["status"] for row in answer["subscriptions"]]

    ok(change(type="custom", subtype_id=subtype, subtype_status="unsubscribed"))
    ok(change(type="default", subtype_status="unsubscribed"))
    assert states(email="a@example.com") == ["unsubscribed", "unsubscribed"]
    assert states(email="b@example.com") == []
    refused(change(type="custom", subtype_status="unsubscribed"), 400)
    refused(change(type="custom", subtype_id="nothing", subtype_status="unsubscribed"), 404)
    assert "legal_reason" in refused(change(type="custom", subtype_id=subtype, subtype_status="subscribed"), 400)
    body["legal_reason"] = "They asked for it."
    ok(change(type="custom", subtype_id=subtype, subtype_status="subscribed"))
    assert sorted(states()) == ["subscribed", "unsubscribed"]
    ok(change(type="resub_all", subtype_status="subscribed"))
    assert states() == ["subscribed"]


@pytest.fixture
def form(sandbox: Sandbox) -> dict[str, str]:
    return {"client_id": sandbox.client_id, "client_secret": sandbox.client_secret}


def token(sandbox: Sandbox, form: dict[str, str]) -> httpx.Response:
    return httpx.post(f"{sandbox.url}/oauth/token", data=form)


def test_codes_and_refresh_tokens_work_once(sandbox: Sandbox, form: dict[str, str]) -> None:
    code = {**form, "grant_type": "authorization_code", "code": sandbox.authorize()}
    first = ok(token(sandbox, code))
    assert (first["userType"], first["locationId"], first["expires_in"]) == ("Location", "loc_sandbox", 86_399)
    spent = token(sandbox, code)
    assert spent.json()["error"] == "invalid_grant"
    refused(spent, 400)
    refresh = {**form, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = ok(token(sandbox, refresh))
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    refused(token(sandbox, refresh), 400)
    for each in (first, second):
        with client_of(sandbox, each["access_token"]) as api:
            ok(api.get("/conversations/"))


def test_what_is_no_grant(sandbox: Sandbox, form: dict[str, str]) -> None:
    refused(token(sandbox, {**form, "grant_type": "client_credentials", "client_secret": "wrong"}), 401)
    refused(token(sandbox, {**form, "grant_type": "authorization_code"}), 400)
    refused(token(sandbox, {**form, "grant_type": "refresh_token", "refresh_token": "made up"}), 400)
    refused(token(sandbox, {**form, "grant_type": "password"}), 422)
    refused(token(sandbox, form), 400)


def test_an_agency_reaches_its_locations(sandbox: Sandbox, form: dict[str, str]) -> None:
    sandbox.add_location("loc_other")
    code = {**form, "grant_type": "authorization_code", "code": sandbox.authorize(user_type="Company")}
    agency = ok(token(sandbox, code))
    assert agency["approvedLocations"] == ["loc_sandbox", "loc_other"]
    assert "locationId" not in agency
    where = {"companyId": sandbox.company_id, "appId": "app"}
    with client_of(sandbox, agency["access_token"]) as api:
        answer = ok(api.post("/oauth/locationToken", data={**where, "locationId": "loc_other"}))
        page = ok(api.get("/oauth/installedLocations", params={**where, "skip": "1", "limit": "5"}))
        assert ([row["_id"] for row in page["locations"]], page["count"]) == (["loc_other"], 2)
        assert ok(api.get("/oauth/installedLocations", params={**where, "isInstalled": "false"}))["count"] == 0
        assert ok(api.get("/oauth/installedLocations", params={**where, "query": "OTHER"}))["count"] == 1
        assert ok(api.get("/oauth/installedLocations", params={**where, "locationId": "loc_other"}))["count"] == 1
        refused(api.get("/oauth/installedLocations", params={**where, "companyId": "another"}), 403)
        refused(api.get("/oauth/installedLocations", params={**where, "limit": "9" * 19}), 422)
        refused(api.get("/oauth/installedLocations", params={**where, "limit": "x"}), 422)
    with client_of(sandbox, answer["access_token"]) as api:
        ok(api.get("/conversations/bots", params={"locationId": "loc_other"}))
        refused(api.get("/conversations/bots", params=HERE), 403)
        refused(api.post("/oauth/locationToken", data={**where, "locationId": "loc_other"}), 403)


def test_the_apps_own_credentials(sandbox: Sandbox, form: dict[str, str]) -> None:
    answer = ok(token(sandbox, {**form, "grant_type": "client_credentials"}))
    assert (answer["userType"], "refresh_token" in answer) == ("Company", False)
