from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.testing.tools import HERE, Clock, ok, refused

UPLOAD = "/conversations/messages/upload"
FORM = {**HERE, "conversationId": "conversation_1"}
TICKET = {**FORM, "filename": "a.txt", "contentType": "text/plain", "channel": "SMS"}


def test_files_are_kept_under_public_links(api: httpx.Client) -> None:
    files = [("fileAttachment", ("a b.txt", b"one", "text/plain")), ("fileAttachment", ("c.PNG", b"two", "image/png"))]
    uploaded = ok(api.post(UPLOAD, data=FORM, files=files))["uploadedFiles"]
    assert list(uploaded) == ["a b.txt", "c.PNG"]
    answer = httpx.get(uploaded["a b.txt"])
    assert (answer.content, answer.headers["Content-Type"]) == (b"one", "text/plain")
    refused(httpx.post(uploaded["a b.txt"]), 405)
    refused(httpx.get(f"{uploaded['a b.txt']}x"), 404)


def test_files_with_the_same_name_are_told_apart(api: httpx.Client) -> None:
    files = [("fileAttachment", ("a.txt", str(n).encode())) for n in range(3)]
    uploaded = ok(api.post(UPLOAD, data=FORM, files=files))["uploadedFiles"]
    assert list(uploaded) == ["a.txt", "a-2.txt", "a-3.txt"]
    assert httpx.get(uploaded["a-3.txt"]).content == b"2"


def test_files_can_be_named_by_url(api: httpx.Client) -> None:
    answer = api.post(UPLOAD, files=[("attachmentUrls", (None, "https://example.com/b.pdf")), *parts()])
    assert ok(answer) == {"uploadedFiles": {"b.pdf": "https://example.com/b.pdf"}}
    assert "one of fileAttachment, attachmentUrls" in refused(api.post(UPLOAD, files=parts()), 400)


def parts() -> list[Any]:
    return [(name, (None, value)) for name, value in FORM.items()]


def test_files_that_are_too_large_or_of_a_wrong_type(api: httpx.Client) -> None:
    large = api.post(UPLOAD, data=FORM, files={"fileAttachment": ("a.txt", b"x" * 1001)})
    refused(large, 413)
    assert "statusCode" not in large.json()
    refused(api.post(UPLOAD, data=FORM, files={"fileAttachment": ("a.exe", b"x")}), 415)
    refused(api.post(UPLOAD, data=FORM, files={"fileAttachment": ("exe", b"x")}), 415)
    ok(api.post(UPLOAD, data=FORM, files={"fileAttachment": ("a.txt", b"x" * 1000)}))


def test_a_large_body_leaves_the_connection_in_step(api: httpx.Client) -> None:
    for _ in range(2):
        refused(api.post(UPLOAD, data=FORM, files={"fileAttachment": ("a.txt", b"x" * 3_000_000)}), 413)
    ok(api.get("/conversations/"))


def test_an_unknown_conversation(api: httpx.Client) -> None:
    refused(api.post(UPLOAD, data={**FORM, "conversationId": "nowhere"}, files={"fileAttachment": ("a.txt", b"")}), 404)


def test_a_group_sms_takes_one_file(api: httpx.Client) -> None:
    form = {**FORM, "isGroupSms": "true"}
    files = [("fileAttachment", (f"{n}.txt", b"")) for n in range(2)]
    refused(api.post(UPLOAD, data=form, files=files), 422)
    assert len(ok(api.post(UPLOAD, data=form, files=files[:1]))["twilioMediaSids"]) == 1


def test_a_direct_upload(api: httpx.Client) -> None:
    ticket = ok(api.post(f"{UPLOAD}/initiate", json={**TICKET, "fileSize": 4}))
    done = {**FORM, "uploadId": ticket["uploadId"], "filePath": ticket["filePath"], "filename": "a.txt"}
    refused(api.post(f"{UPLOAD}/complete", json=done), 404)
    assert ticket["maxFileSize"] == 1000
    refused(api.put(ticket["uploadUrl"], content=b"text"), 400)
    refused(httpx.get(ticket["uploadUrl"]), 405)
    refused(httpx.put(ticket["uploadUrl"], content=b"x" * 1001), 413)
    assert httpx.put(ticket["uploadUrl"], content=b"text").status_code == 200
    receipt = ok(api.post(f"{UPLOAD}/complete", json=done))
    assert receipt["metadata"] == {"size": 4, "contentType": "text/plain"}
    assert httpx.get(receipt["uploadedFiles"]["a.txt"]).content == b"text"
    refused(api.post(f"{UPLOAD}/complete", json={**done, "filePath": "elsewhere"}), 404)


def test_the_ticket_of_a_direct_upload_lapses(api: httpx.Client, clock: Clock) -> None:
    url = ok(api.post(f"{UPLOAD}/initiate", json=TICKET))["uploadUrl"]
    clock.now += 15 * 60
    refused(httpx.put(url, content=b""), 403)
    refused(httpx.put(url.replace("signature=", "signature=x"), content=b""), 403)


@pytest.mark.parametrize(("channel", "size", "status"), [("SMS", 1001, 413), ("WHATSAPP", 1001, 200), ("SMS", 0, 200)])
def test_the_limit_of_a_direct_upload(api: httpx.Client, channel: str, size: int, status: int) -> None:
    answer = api.post(f"{UPLOAD}/initiate", json={**TICKET, "channel": channel, "fileSize": size})
    assert answer.status_code == status


def test_a_direct_upload_of_a_wrong_type(api: httpx.Client) -> None:
    refused(api.post(f"{UPLOAD}/initiate", json={**TICKET, "filename": "a.exe"}), 415)
