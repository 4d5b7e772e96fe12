from __future__ import annotations

import io
import wave
from typing import Any

import httpx
import pytest

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, Clock, ok, refused

SEND = "/conversations/messages"


def listed(api: httpx.Client, conversation_id: str, **query: Any) -> dict[str, Any]:
    answer = api.get(f"/conversations/{conversation_id}/messages", params=query)
    assert answer.json()["traceId"]
    page: dict[str, Any] = ok(answer)["messages"]
    return page


def test_sending_to_a_contact_opens_a_conversation_once(api: httpx.Client) -> None:
    first = ok(api.post(SEND, json={"type": "SMS", "contactId": "contact_new", "message": "Hello"}))
    second = ok(api.post(SEND, json={"type": "WhatsApp", "contactId": "contact_new", "message": "Again"}))
    assert first["conversationId"] == second["conversationId"]
    page = listed(api, first["conversationId"])
    assert [(row["body"], row["type"], row["messageType"]) for row in page["messages"]] == [
        ("Again", 19, "TYPE_WHATSAPP"),
        ("Hello", 2, "TYPE_SMS"),
    ]
    message = ok(api.get(f"{SEND}/{second['messageId']}"))["message"]
    assert (message["direction"], message["status"], message["contactId"]) == ("outbound", "delivered", "contact_new")
    conversation = ok(api.get("/conversations/search", params={**HERE, "contactId": "contact_new"}))["conversations"][0]
    assert (conversation["lastMessageBody"], conversation["unreadCount"]) == ("Again", 0)


def test_sending_needs_a_recipient(api: httpx.Client) -> None:
    assert "one of conversationId, contactId" in refused(api.post(SEND, json={"type": "SMS", "message": "x"}), 400)
    refused(api.post(SEND, json={"type": "SMS", "conversationId": "nowhere"}), 404)
    refused(api.post(SEND, json={"type": "Pigeon", "contactId": "c"}), 422)


def test_messages_page_by_the_last_id(api: httpx.Client, sandbox: Sandbox) -> None:
    (conversation,) = sandbox.add_conversations(1)
    ids = sandbox.add_messages(conversation, 22)
    first = listed(api, conversation)
    assert (len(first["messages"]), first["nextPage"], first["lastMessageId"]) == (20, True, ids[2])
    second = listed(api, conversation, lastMessageId=first["lastMessageId"])
    assert (len(second["messages"]), second["nextPage"]) == (3, False)
    assert [row["id"] for row in [*first["messages"], *second["messages"]]][:22] == ids[::-1]
    assert listed(api, conversation, lastMessageId=second["lastMessageId"])["messages"] == []
    refused(api.get(f"/conversations/{conversation}/messages", params={"lastMessageId": "nothing"}), 404)


def test_messages_are_filtered_by_type(api: httpx.Client) -> None:
    rows = listed(api, "conversation_1", type="TYPE_CALL,TYPE_EMAIL")["messages"]
    assert [row["messageType"] for row in rows] == ["TYPE_CALL", "TYPE_EMAIL"]
    assert listed(api, "conversation_1", type="TYPE_INTERNAL_COMMENTS")["messages"] == []
    refused(api.get("/conversations/conversation_1/messages", params={"type": "TYPE_CALL,CALL"}), 422)


def test_an_injected_message_is_outbound(api: httpx.Client) -> None:
    answer = ok(api.post("/conversations/conversation_1/messages", json={**HERE, "message": "From the bot"}))
    newest = listed(api, "conversation_1")["messages"][0]
    assert (newest["id"], newest["body"], newest["direction"]) == (answer["messageId"], "From the bot", "outbound")


def test_an_inbound_message_is_unread(api: httpx.Client) -> None:
    body = {"type": "SMS", "conversationId": "conversation_2", "message": "Fine", "altId": "ext_1"}
    answer = ok(
        api.post(f"{SEND}/inbound", json={**body, "direction": "inbound", "date": "2027-05-01T10:00:00.5+02:00"})
    )
    message = ok(api.get(f"{SEND}/{answer['messageId']}"))["message"]
    assert (message["altId"], message["dateAdded"]) == ("ext_1", "2027-05-01T08:00:00.500Z")
    assert ok(api.get("/conversations/conversation_2"))["unreadCount"] == 1
    answer = ok(api.post(f"{SEND}/inbound", json={"type": "SMS", "contactId": "contact_2"}))
    assert ok(api.get(f"{SEND}/{answer['messageId']}"))["message"]["direction"] == "outbound", "as documented"
    assert answer["contactId"] == "contact_2"


def test_an_inbound_message_refuses_links_with_a_query(api: httpx.Client) -> None:
    body = {"type": "SMS", "contactId": "c", "attachments": ["https://example.com/a.png?x=1"]}
    assert "query string" in refused(api.post(f"{SEND}/inbound", json=body), 422)
    refused(
        api.post(f"{SEND}/inbound", json={"type": "SMS", "contactId": "c", "date": "0001-01-01T00:00:00+05:00"}), 422
    )


@pytest.mark.parametrize("kind", ["inbound", "outbound"])
def test_a_recorded_call_can_be_heard(api: httpx.Client, kind: str) -> None:
    body = {
        "type": "Call",
        "conversationId": "conversation_2",
        "conversationProviderId": "p",
        "call": {"status": "busy"},
    }
    id_ = ok(api.post(f"{SEND}/{kind}", json=body))["messageId"]
    assert ok(api.get(f"{SEND}/{id_}"))["message"]["meta"]["call"]["status"] == "busy"
    answer = api.get(f"{SEND}/{id_}/locations/loc_sandbox/recording")
    assert answer.headers["Content-Type"] == "audio/x-wav"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audio.wav"'
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert sound.getnframes() / sound.getframerate() == 12
    links = [f"https://example.com/{n}.png" for n in range(5)]
    replaced = api.put(f"{SEND}/{id_}/attachments", json={"attachments": links})
    assert (replaced.status_code, replaced.content) == (200, b"")
    assert ok(api.get(f"{SEND}/{id_}"))["message"]["attachments"] == links
    refused(api.put(f"{SEND}/{id_}/attachments", json={"attachments": [*links, "six"]}), 422)


def test_only_calls_have_recordings_and_their_attachments_replaced(api: httpx.Client) -> None:
    message = refused(api.get(f"{SEND}/message_1/locations/loc_sandbox/recording"), 400)
    assert message == "CONVERSATIONS_MSG_RECORDING_NOT_FOUND"
    refused(api.get("/conversations/locations/loc_sandbox/messages/message_1/transcription"), 422)
    refused(api.put(f"{SEND}/message_1/attachments", json={"attachments": []}), 403)
    refused(api.put(f"{SEND}/message_call/attachments", json={"attachments": []}), 403)


def test_transcriptions(api: httpx.Client) -> None:
    path = "/conversations/locations/loc_sandbox/messages/message_call/transcription"
    sentences = ok(api.get(path))
    assert [each["speaker"] for each in sentences] == [0, 1, 0, 1]
    assert all(each.keys() == {"speaker", "transcript", "startTime", "endTime"} for each in sentences)
    assert sentences[-1]["endTime"] == 12.0
    text = api.get(f"{path}/download")
    assert text.headers["Content-Type"] == "text/plain"
    assert text.headers["Content-Disposition"] == 'attachment; filename="transcription.txt"'
    assert text.text.splitlines() == [f"{each['speaker'] + 1}: {each['transcript']}" for each in sentences]


def test_the_status_can_be_set(api: httpx.Client) -> None:
    assert ok(api.put(f"{SEND}/message_2/status", json={"status": "read"}))["status"] == "read"
    assert ok(api.get(f"{SEND}/message_2"))["message"]["status"] == "read"
    refused(api.put(f"{SEND}/nothing/status", json={"status": "read"}), 404)


def test_a_scheduled_message_can_be_cancelled_until_it_is_due(api: httpx.Client, clock: Clock) -> None:
    body = {"type": "SMS", "contactId": "contact_1", "message": "Later", "scheduledTimestamp": int(clock.now) + 60}
    first, second = (ok(api.post(SEND, json=body))["messageId"] for _ in range(2))
    assert ok(api.get(f"{SEND}/{first}"))["message"]["status"] == "scheduled"
    assert ok(api.delete(f"{SEND}/{first}/schedule"))["status"] == 200
    refused(api.get(f"{SEND}/{first}"), 404)
    refused(api.delete(f"{SEND}/{first}/schedule"), 404)
    clock.now += 61
    assert ok(api.delete(f"{SEND}/{second}/schedule"))["status"] == 404
    assert ok(api.get(f"{SEND}/{second}"))["message"]["status"] == "delivered"


def test_emails_have_their_text_apart(api: httpx.Client) -> None:
    body = {
        "type": "Email",
        "contactId": "contact_1",
        "subject": "Hi",
        "html": "<b>Hi</b>",
        "emailCc": ["c@example.com"],
    }
    sent = ok(api.post(SEND, json=body))
    message = ok(api.get(f"{SEND}/{sent['messageId']}"))["message"]
    assert (message["body"], message["meta"]["email"]["messageIds"]) == ("", [sent["emailMessageId"]])
    email = ok(api.get(f"{SEND}/email/{sent['emailMessageId']}"))["emailMessage"]
    assert (email["body"], email["subject"], email["cc"], email["direction"]) == (
        "<b>Hi</b>",
        "Hi",
        ["c@example.com"],
        "outbound",
    )
    assert ok(api.delete(f"{SEND}/email/{sent['emailMessageId']}/schedule"))["status"] == 404
    refused(api.get(f"{SEND}/email/nothing"), 404)


def test_a_scheduled_email_can_be_cancelled(api: httpx.Client, clock: Clock) -> None:
    body = {"type": "Email", "contactId": "contact_1", "html": "x", "scheduledTimestamp": int(clock.now) + 60}
    sent = ok(api.post(SEND, json=body))
    assert ok(api.delete(f"{SEND}/email/{sent['emailMessageId']}/schedule"))["status"] == 200
    refused(api.get(f"{SEND}/email/{sent['emailMessageId']}"), 404)
    refused(api.get(f"{SEND}/{sent['messageId']}"), 404)


def test_an_inbound_email(api: httpx.Client) -> None:
    body = {"type": "Email", "contactId": "contact_1", "html": "Re", "subject": "Re", "direction": "inbound"}
    answer = ok(api.post(f"{SEND}/inbound", json=body))
    email = ok(api.get(f"{SEND}/email/{answer['emailMessageId']}"))["emailMessage"]
    assert (email["from"], email["direction"]) == ("ada.abbott.0@example.com", "inbound")


def test_forwarding(api: httpx.Client) -> None:
    body = {"type": "Email", "contactId": "contact_1", "forward": {"isForwarded": True, "messageId": "message_2"}}
    assert ok(api.post(SEND, json=body))["forwardData"] == {"messageId": "message_2"}
    refused(api.post(SEND, json={**body, "forward": {"isForwarded": True}}), 400)
    refused(api.post(SEND, json={**body, "type": "SMS"}), 422)


def test_reviews_are_answered_in_review_conversations(api: httpx.Client, sandbox: Sandbox) -> None:
    (review,) = sandbox.add_conversations(1, type=4)
    body = {**HERE, "message": "Thanks"}
    ok(api.post(f"{SEND}/review-reply", json={**body, "conversationId": review}))
    assert listed(api, review)["messages"][0]["messageType"] == "TYPE_REVIEW"
    refused(api.post(f"{SEND}/review-reply", json={**body, "conversationId": "conversation_1"}), 422)


def test_typing(api: httpx.Client) -> None:
    body = {**HERE, "conversationId": "conversation_1", "visitorId": "v", "isTyping": True}
    answer = api.post("/conversations/providers/live-chat/typing", json=body)
    assert (answer.status_code, ok(answer)) == (201, {"success": True})
    refused(api.post("/conversations/providers/live-chat/typing", json={**body, "isTyping": "true"}), 422)


def test_deleting_a_conversation_deletes_its_messages(api: httpx.Client) -> None:
    ok(api.delete("/conversations/conversation_1"))
    refused(api.get(f"{SEND}/message_1"), 404)
    refused(api.get(f"{SEND}/email/email_1"), 404)
    ok(api.get(f"{SEND}/message_2"))
