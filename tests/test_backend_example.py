"""The example backend from end to end: its own process, signed webhooks over HTTP, a browser that loads the page."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from dialogkit.testing import Sandbox, WebhookSigner
from tests.support import programs
from tests.support.backend import TOKEN, backend, free_port

PATH = "/webhooks/hoopai"
PATIENCE = 60.0
COLLEAGUE = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(tier="standard", validate_responses=True, webhook_backoff=0.5, webhook_attempts=8) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def url(sandbox: Sandbox) -> Iterator[str]:
    """A backend that starts only when a first message is waiting for it."""
    port = free_port()
    sandbox.webhooks.register(f"http://127.0.0.1:{port}{PATH}", ["InboundMessage", "ConversationEscalated"])
    sandbox.add_messages("conversation_1", 1)
    with backend(sandbox, port) as url:
        sandbox.webhooks.wait(PATIENCE)
        yield url


def replies(sandbox: Sandbox) -> int:
    return sum(request.operation_id == "send_message" for request in sandbox.requests)


def settled(url: str, answered: int) -> dict[str, int]:
    """Return the backend's numbers once it has answered so many messages: it acknowledges them before."""
    while True:
        stats: dict[str, int] = httpx.get(f"{url}/stats", headers=COLLEAGUE, timeout=PATIENCE).json()
        if stats["answered"] >= answered:
            return stats


def test_a_message_that_came_before_the_backend_is_answered_in_the_end(sandbox: Sandbox, url: str) -> None:
    (delivery,) = sandbox.deliveries
    assert delivery.accepted
    assert delivery.attempts[0].status is None  # nobody was there yet
    settled(url, 1)
    assert replies(sandbox) == 1


def test_each_message_is_answered_once_however_often_it_is_delivered(sandbox: Sandbox, url: str) -> None:
    before = settled(url, 0)["answered"]
    sandbox.add_messages("conversation_1", 4)
    sandbox.webhooks.wait(PATIENCE)
    settled(url, before + 4)
    for delivery in sandbox.deliveries[-4:]:
        sandbox.webhooks.redeliver(delivery.id)
        sandbox.webhooks.redeliver(delivery.id)
    sandbox.webhooks.wait(PATIENCE)
    assert all(each.accepted for each in sandbox.deliveries)
    assert settled(url, before + 4)["answered"] == before + 4
    assert replies(sandbox) == before + 4


def test_who_asks_for_a_human_is_handed_over(sandbox: Sandbox, url: str) -> None:
    before = settled(url, 0)
    data = {"conversationId": "conversation_1", "contactId": "contact_abc123", "body": "A HUMAN, please"}
    sandbox.webhooks.emit("InboundMessage", data)
    sandbox.webhooks.emit("ConversationEscalated", {"conversationId": "conversation_1"})
    sandbox.webhooks.wait(PATIENCE)
    stats = settled(url, before["answered"] + 1)
    assert stats["handed over"] == before["handed over"] + 2
    shown = httpx.get(f"{url}/conversations/conversation_1", headers=COLLEAGUE, timeout=PATIENCE)
    assert shown.json()["starred"] is True


def test_what_somebody_else_has_signed_is_refused(sandbox: Sandbox, url: str) -> None:
    forged = WebhookSigner().sign({"type": "InboundMessage", "contactId": "contact_abc123", "body": "Hello!"})
    before = replies(sandbox)
    answer = httpx.post(url + PATH, content=forged.body, headers=dict(forged.headers), timeout=PATIENCE)
    assert (answer.status_code, answer.json()) == (401, {"detail": "bad_signature"})
    assert replies(sandbox) == before


def test_another_location_s_message_is_dropped(sandbox: Sandbox, url: str) -> None:
    before, answered = settled(url, 0)["latest"], replies(sandbox)
    sandbox.webhooks.emit("InboundMessage", {"locationId": "of_somebody_else", "contactId": "c", "body": "Hello!"})
    sandbox.webhooks.wait(PATIENCE)
    assert sandbox.deliveries[-1].accepted, "a refusal would count against the app"
    assert (settled(url, 0)["latest"], replies(sandbox)) == (before, answered)


@pytest.mark.parametrize("path", ["/stats", "/conversations/conversation_1"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}])
def test_a_stranger_is_shown_nothing(url: str, path: str, headers: dict[str, str]) -> None:
    assert httpx.get(url + path, headers=headers, timeout=PATIENCE).status_code == 401


@pytest.fixture
def browser() -> str:
    return programs.find("chromium", "chromium-browser", "google-chrome", package="chromium")


def test_the_page_shows_it_in_a_browser(sandbox: Sandbox, url: str, browser: str, tmp_path: Path) -> None:
    settled(url, 1)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}"]
    # The page asks for its numbers as soon as it is loaded; this much of its own time passes before it is printed.
    command = [browser, *options, "--virtual-time-budget=5000", "--dump-dom", f"{url}/#{quote(TOKEN)}"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert "<td>answered</td>" in page
    assert "<td>messages.send 20" in page
    assert "<td>10 in 1 s</td>" in page
    assert page.count("<progress") >= 2
