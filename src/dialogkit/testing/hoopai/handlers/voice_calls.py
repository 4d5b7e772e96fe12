"""Calls of Voice AI agents: as a list with transcripts and recordings, and as the dashboard's log."""

from __future__ import annotations

from typing import Any, Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.links import StoredFile
from dialogkit.testing.engine.paging import numbered
from dialogkit.testing.engine.refusals import wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row, State, iso, parse_iso
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.wav import tone

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_LINK_SECONDS: Final = 24 * 60 * 60
_SEGMENTS: Final = (
    ("bot", "Hello, how can I help?", 0.2),
    ("human", "My order has not arrived.", -0.6),
    ("bot", "I am sorry. I have asked for it to be sent again.", 0.1),
    ("human", "Thank you, that helps.", 0.8),
)
_LOGGED: Final = (
    *("id", "contactId", "agentId", "isAgentDeleted", "fromNumber", "createdAt", "duration", "trialCall"),
    *(
        "agentTransferOccurred",
        "executedCallActions",
        "summary",
        "transcript",
        "translation",
        "extractedData",
        "messageId",
    ),
)


def new_voice_call(state: State, location_id: str, agent_id: str, id_: str | None = None, **values: Any) -> Row:
    """Add a call of a Voice AI agent; what is not given is made up."""
    moment = state.now_ms()
    row: Row = {
        "locationId": location_id,
        "agentId": agent_id,
        "contactId": "contact_1",
        "direction": "inbound",
        "fromNumber": "+15550000000",
        "createdAt": iso(moment),
        "createdMs": moment,
        "duration": 20,
        "trialCall": False,
        "agentTransferOccurred": False,
        "isAgentDeleted": agent_id not in tables.voice_agents(state),
        "summary": "An order did not arrive and is sent again.",
        "transcript": "".join(f"{speaker}: {text}\n" for speaker, text, _ in _SEGMENTS),
        "executedCallActions": [],
        "extractedData": {},
        **values,
    }
    return tables.voice_calls(state).add(row, id_)


def _call(call: Call) -> Row:
    return call.row(tables.voice_calls(call.state), call.path["callId"])


@_handles("list_voice_calls")
def list_voice_calls(call: Call) -> Json:
    """Return all matching calls at once, the newest first."""
    wanted = {name: call.query.get(name) for name in ("agentId", "direction")}
    start, end = _date(call, "startDate"), _date(call, "endDate")
    rows = [
        {name: value for name, value in row.items() if name != "createdMs"}
        for row in sorted(call.rows(tables.voice_calls(call.state), **wanted), key=_created, reverse=True)
        if (start is None or start <= row["createdMs"]) and (end is None or row["createdMs"] <= end)
    ]
    return {"calls": rows, "total": len(rows)}


def _date(call: Call, name: str) -> int | None:
    text: str | None = call.query.get(name)
    try:
        return None if text is None else parse_iso(text)
    except ValueError as error:
        raise wrong(f"{name} must be a valid ISO 8601 date string") from error


def _created(row: Row) -> int:
    moment: int = row["createdMs"]
    return moment


@_handles("get_voice_call_transcript")
def get_voice_call_transcript(call: Call) -> Json:
    """Return what was said, spread over the duration of the call, with how it was meant."""
    row = _call(call)
    step = row["duration"] / len(_SEGMENTS)
    segments = [
        {
            "speaker": speaker,
            "text": text,
            "startTime": round(index * step, 2),
            "endTime": round((index + 1) * step, 2),
            "sentiment": {"score": score, "label": "positive" if score > 0 else "negative"},
        }
        for index, (speaker, text, score) in enumerate(_SEGMENTS)
    ]
    return {"callId": row["id"], "segments": segments}


@_handles("get_voice_call_recording")
def get_voice_call_recording(call: Call) -> Json:
    """Return a link to the audio that lapses after 24 hours and takes no Authorization header."""
    row = _call(call)
    file = StoredFile("recording.wav", "audio/x-wav", tone(row["duration"]))
    url = call.state.links.sign(call.base_url, file, method="GET", seconds=_LINK_SECONDS)
    return {"url": url, "expiresAt": iso((call.state.clock() + _LINK_SECONDS) * 1000)}


@_handles("list_call_logs")
def list_call_logs(call: Call) -> Json:
    """Return a numbered page of the log, the newest call first unless said otherwise."""
    query = call.query
    page: int = query.get("page", 1)
    size: int = query.get("pageSize", 10)
    if "startDate" in query and query["startDate"] >= query["endDate"]:
        raise wrong("startDate must be before endDate")
    rows = [row for row in call.rows(tables.voice_calls(call.state)) if _passes(query, row)]
    rows.sort(key=_created, reverse=True)
    if by := query.get("sortBy"):
        field = {"duration": "duration", "createdAt": "createdMs"}[by]
        rows.sort(key=lambda row: row[field], reverse=query.get("sort", "descend") == "descend")
    shown = [pick(row, *_LOGGED) for row in numbered(rows, page, size)]
    return {"total": len(rows), "page": page, "pageSize": size, "callLogs": shown}


def _passes(query: Any, row: Row) -> bool:
    ran = {action["actionType"] for action in row["executedCallActions"]}
    return (
        query.get("agentId", row["agentId"]) == row["agentId"]
        and row["contactId"] in query.get("contactId", [row["contactId"]])
        and query.get("callType", "TRIAL" if row["trialCall"] else "LIVE") == ("TRIAL" if row["trialCall"] else "LIVE")
        and query.get("startDate", row["createdMs"]) <= row["createdMs"] <= query.get("endDate", row["createdMs"])
        and ("actionType" not in query or not ran.isdisjoint(query["actionType"]))
    )


@_handles("get_call_log")
def get_call_log(call: Call) -> Row:
    """Return one entry of the log."""
    return pick(_call(call), *_LOGGED)
