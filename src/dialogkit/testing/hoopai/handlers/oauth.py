"""OAuth 2.0: tokens for codes and refresh tokens, tokens for locations, and where the app is installed."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import matches
from dialogkit.testing.engine.refusals import Refusal, missing, wrong
from dialogkit.testing.engine.registry import Registry
from dialogkit.testing.engine.state import Credential, Row
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.state import Grant, HoopAIState

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_LIFETIME: Final = 86_399
_SCOPES: Final = (
    *("conversations.readonly", "conversations.write", "conversations/message.readonly", "conversations/message.write"),
    *("conversations/livechat.write", "conversation-ai.readonly", "conversation-ai.write", "voice-ai-agents.readonly"),
    *("voice-ai-agents.write", "voice-ai-agent-goals.readonly", "voice-ai-agent-goals.write"),
    *("voice-ai-dashboard.readonly", "oauth.readonly", "oauth.write"),
)


@_handles("get_access_token")
def get_access_token(call: Call) -> Json:
    """Exchange a code, a refresh token or the app's own credentials for an access token.

    Codes and refresh tokens work once, and only for the level that they were made for.
    """
    body, state = call.body, call.state
    if (body["client_id"], body["client_secret"]) != (state.client_id, state.client_secret):
        raise Refusal(401, "Invalid client credentials: client_id or client_secret is wrong")
    if body["grant_type"] == "client_credentials":
        return _token(state, Grant(body.get("user_type", "Company"), state.account), refreshable=False)
    name = {"authorization_code": "code", "refresh_token": "refresh_token"}[body["grant_type"]]
    if name not in body:
        raise missing(f"{name} should not be empty for the grant {body['grant_type']}")
    grant = (state.codes if name == "code" else state.refresh_tokens).pop(body[name], None)
    if grant is None:
        raise Refusal(400, f"Invalid grant: {name} is invalid, expired or already used", error="invalid_grant")
    return _token(state, grant, refreshable=True)


def _token(state: HoopAIState, grant: Grant, *, refreshable: bool) -> Json:
    company = grant.user_type == "Company"
    answer: Json = {
        **_issue(state, None if company else grant.location_id, grant.scopes),
        "userType": grant.user_type,
        "companyId": state.company_id,
        "isBulkInstallation": False,
    }
    if refreshable:
        answer |= _refreshable(state, grant)
    if company:
        return {**answer, "approvedLocations": state.locations, "installToFutureLocations": False}
    return {**answer, "locationId": grant.location_id}


def _refreshable(state: HoopAIState, grant: Grant) -> Row:
    token = state.ids.secret("refresh")
    state.refresh_tokens[token] = grant
    return {"refresh_token": token}


def _issue(state: HoopAIState, location_id: str | None, scopes: frozenset[str] | None) -> Row:
    """Issue a token for one location, or for all that are the company's."""
    token = state.ids.secret("access")
    name = f"{'company' if location_id is None else 'location'} token {len(state.tokens)}"
    state.tokens[token] = Credential(name, location_id, state.clock() + _LIFETIME, scopes)
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": _LIFETIME,
        "scope": " ".join(_SCOPES if scopes is None else sorted(scopes)),
        "userId": "user_sandbox",
    }


def _require_agency(call: Call, company_id: str) -> None:
    if call.credential.account is not None:
        raise Refusal(403, "This call needs the agency's token.")
    if company_id != call.state.company_id:
        raise Refusal(403, "The token does not have access to this company.")


@_handles("get_location_token")
def get_location_token(call: Call) -> Json:
    """Issue a token for one location. Its refresh token is not documented, but comes."""
    _require_agency(call, call.body["companyId"])
    grant = Grant("Location", call.location_id, call.credential.scopes)
    answer = {**_issue(call.state, call.location_id, grant.scopes), "locationId": call.location_id}
    return answer if call.lenient else {**answer, **_refreshable(call.state, grant)}


@_handles("list_installed_locations")
def list_installed_locations(call: Call) -> Json:
    """Return the sandbox's locations; the app is installed at all of them."""
    query = call.query
    _require_agency(call, query["companyId"])
    if len(query.get("skip", "")) > 18 or len(query.get("limit", "")) > 18:
        raise wrong("skip and limit must not be greater than 999999999999999999")
    skip, limit = int(query.get("skip", "0")), int(query.get("limit", "20"))
    rows = [
        {"_id": id_, "name": f"Location {id_}", "address": "1 Main Street", "isInstalled": True}
        for id_ in call.state.locations
        if matches(query.get("query"), f"Location {id_}") and query.get("locationId", id_) == id_
    ]
    rows = rows if query.get("isInstalled", True) else []
    return {"locations": rows[skip : skip + limit], "count": len(rows), "installToFutureLocations": False}
