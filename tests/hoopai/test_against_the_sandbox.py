"""Every method of the facade against the sandbox, over real HTTP, with both sides strict about the document."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

from dialogkit import (
    APIStatusError,
    AuthenticationError,
    HoopAI,
    NotFoundError,
    RetryPolicy,
    UnprocessableEntityError,
    Upload,
    response_info,
)
from dialogkit.hoopai import models
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend

STOP = {
    "stop_bot_detection_type": "Goodbye",
    "stop_bot_trigger_condition": "The contact says goodbye",
    "reactivate_enabled": False,
    "enabled": True,
    "stop_bot_examples": ["bye", "see you"],
    "final_message": "Bye!",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(tier=None, validate_responses=True) as sandbox:
        yield sandbox


@pytest.fixture
async def hoop(server: Sandbox) -> AsyncIterator[HoopAI]:
    server.reset()
    async with connect(server) as client:
        yield client


def connect(server: Sandbox) -> HoopAI:
    return HoopAI(server.api_key, base_url=server.url, location_id=server.location_id, rate_limit=None, strict=True)


async def test_bots_and_their_knowledge(hoop: HoopAI) -> None:
    bot = await hoop.bots.create(name="Sales", system_prompt="Sell.", model="gpt-4", temperature=0.7, status="draft")
    assert response_info(bot).status in {200, 201}
    assert response_info(bot).attempts == 1
    assert (await hoop.bots.update(bot.id, name="Sales 2")).name == "Sales 2"
    assert (await hoop.bots.set_status(bot.id, status="active")).status == "active"
    assert (await hoop.bots.get(bot.id)).status == "active"
    assert bot.id in [each.id async for each in hoop.bots.list()]
    entry = await hoop.bots.knowledge.add(bot.id, type="text", title="Hours", content="9 to 5")
    link = await hoop.bots.knowledge.add(bot.id, type="url", url="https://example.com")
    assert [each.id for each in await hoop.bots.knowledge.list(bot.id)] == [entry.id, link.id]
    await hoop.bots.knowledge.delete(bot.id, entry.id)
    assert [each.id for each in await hoop.bots.knowledge.list(bot.id)] == [link.id]
    await hoop.bots.delete(bot.id)
    with pytest.raises(NotFoundError) as caught:
        await hoop.bots.get(bot.id)
    assert caught.value.request_id


async def test_conversations(hoop: HoopAI, server: Sandbox) -> None:
    created = await hoop.conversations.create(contact_id="contact_new")
    assert (await hoop.conversations.get(created.id)).contact_id == "contact_new"
    updated = await hoop.conversations.update(created.id, starred=True, unread_count=3)
    assert (updated.starred, updated.unread_count) == (True, 3)
    server.add_conversations(45)
    searched = [each.id async for each in hoop.conversations.search(limit=7)]
    listed = [each.id async for each in hoop.conversations.list(limit=7)]
    assert len(searched) == len(set(searched)) == len(set(listed)) == len(listed) == 48
    pages = [page async for page in hoop.conversations.list(limit=20).pages()]
    assert [len(page) for page in pages] == [20, 20, 8]
    assert pages[0].total == 48
    resumed = hoop.conversations.list(limit=20, resume=pages[0].cursor)
    assert [each.id async for each in resumed] == [each.id for page in pages[1:] for each in page]
    assert (await hoop.conversations.delete(created.id)).success is True


async def test_messages(hoop: HoopAI) -> None:
    sent = await hoop.messages.send(type="SMS", contact_id="contact_new", message="Hello")
    assert sent.message_id
    again = await hoop.messages.send(type="SMS", conversation_id=sent.conversation_id, message="Again")
    assert again.conversation_id == sent.conversation_id
    message = await hoop.messages.get(sent.message_id)
    assert (message.body, message.direction) == ("Hello", "outbound")
    assert isinstance(message.date_added, datetime)
    await hoop.messages.inject(sent.conversation_id, message="Note")
    inbound = await hoop.messages.add_inbound(type="SMS", conversation_id=sent.conversation_id, message="Hi!")
    assert inbound.success is True
    bodies = [each.body async for each in hoop.messages.list(sent.conversation_id, limit=2)]
    assert sorted(body or "" for body in bodies) == ["Again", "Hello", "Hi!", "Note"]
    only_email = await hoop.messages.list(sent.conversation_id, type=["TYPE_EMAIL", "TYPE_CALL"])
    assert list(only_email) == []
    updated = await hoop.messages.update_status(sent.message_id, status="delivered")
    assert updated.message_id == sent.message_id
    exported = [each.id async for each in hoop.messages.export(conversation_id=sent.conversation_id, limit=10)]
    assert len(exported) == 4
    call = await hoop.messages.add_outbound_call(
        type="Call",
        conversation_id=sent.conversation_id,
        conversation_provider_id="provider_1",
        call={"to": "+15037081210", "from": "+15037081211", "status": "completed"},
    )
    assert call.success is True


async def test_scheduled_messages_and_emails(hoop: HoopAI) -> None:
    later = datetime.now(timezone.utc) + timedelta(days=1)
    scheduled = await hoop.messages.send(type="SMS", contact_id="contact_1", message="Soon", scheduled_timestamp=later)
    assert scheduled.message_id
    cancelled = await hoop.messages.cancel_scheduled(scheduled.message_id)
    assert cancelled.status == 200
    email = await hoop.messages.send(
        type="Email", contact_id="contact_1", subject="Hi", html="<p>Hi</p>", scheduled_timestamp=later
    )
    assert email.email_message_id
    assert (await hoop.emails.get(email.email_message_id)).subject == "Hi"
    assert (await hoop.emails.cancel_scheduled(email.email_message_id)).status == 200


async def test_files(hoop: HoopAI, tmp_path: Path) -> None:
    steps: list[tuple[int, int | None]] = []
    file = tmp_path / "note.txt"
    file.write_text("a note")
    answer = await hoop.messages.upload(
        conversation_id="conversation_1",
        files=[file, ("picture.png", b"\x89PNG"), Upload.from_bytes(b"%PDF", filename='ö "x".pdf')],
        on_progress=lambda done, total: steps.append((done, total)),
    )
    assert len(answer.uploaded_files) == 3
    assert steps[-1][0] == steps[-1][1]
    sound = await hoop.messages.recording("message_call")
    with wave.open(io.BytesIO(sound)) as opened:
        assert opened.getnframes() > 0
    path = await hoop.messages.recording("message_call").to_file(tmp_path)
    assert path == tmp_path / "audio.wav"
    assert path.read_bytes() == sound
    async with hoop.messages.recording("message_call").stream() as stream:
        assert b"".join([chunk async for chunk in stream]) == sound
    sentences = await hoop.messages.transcription("message_call")
    assert sentences[0].transcript
    assert sentences[0].transcript in await hoop.messages.download_transcription("message_call")
    with pytest.raises(APIStatusError) as caught:
        await hoop.messages.upload(conversation_id="conversation_1", files=[("virus.exe", b"MZ")])
    assert caught.value.status == 415


async def test_direct_uploads_and_attachments(hoop: HoopAI, server: Sandbox) -> None:
    ticket = await hoop.messages.initiate_upload(
        conversation_id="conversation_1", filename="a.txt", content_type="text/plain", channel="SMS"
    )
    async with httpx.AsyncClient() as plain:
        assert (await plain.put(ticket.upload_url, content=b"text")).status_code == 200
    done = await hoop.messages.complete_upload(
        upload_id=ticket.upload_id, file_path=ticket.file_path, conversation_id="conversation_1", filename="a.txt"
    )
    assert done.uploaded_files
    call = await hoop.messages.add_inbound(type="Call", conversation_id="conversation_1", call={"status": "completed"})
    assert call.message_id
    await hoop.messages.replace_attachments(call.message_id, attachments=["https://example.com/a"])
    assert (await hoop.messages.get(call.message_id)).attachments == ["https://example.com/a"]
    (review,) = server.add_conversations(1, type=4)
    assert (await hoop.messages.reply_to_review(conversation_id=review, message="Thank you")).message_id


async def test_live_chat(hoop: HoopAI) -> None:
    answer = await hoop.live_chat.typing(is_typing=True, visitor_id="v1", conversation_id="conversation_1")
    assert answer.success is True


async def test_agents_and_their_actions(hoop: HoopAI, server: Sandbox) -> None:
    agent = await hoop.agents.create(name="Ada", personality="Kind", goal="Help", instructions="Be brief")
    assert (await hoop.agents.get(agent.id)).name == "Ada"
    updated = await hoop.agents.update(agent.id, auto_pilot_max_messages=10, sleep_time=None)
    assert updated.auto_pilot_max_messages == 10
    server.add_agents(9)
    names = [each.name async for each in hoop.agents.search(limit=4)]
    assert len(names) == len(set(names)) == 11
    assert [each.name for each in await hoop.agents.search(query="ada")] == ["Ada"]
    action = await hoop.agents.actions.create(agent.id, type="stopBot", name="Stop", details=STOP)
    assert isinstance(action, models.StopBotAction)
    same = await hoop.agents.actions.update(
        agent.id, action.id, type="stopBot", name="Halt", details=models.StopBotDetails.model_validate(STOP)
    )
    assert same.name == "Halt"
    assert (await hoop.agents.actions.get(agent.id, action.id)).name == "Halt"
    assert [each.id async for each in hoop.agents.actions.list(agent.id)] == [action.id]
    settings = models.FollowupSettings(dynamic_channel_switching=True, timezone_to_use="contact")
    followup = await hoop.agents.actions.create(
        agent.id,
        type="advancedFollowup",
        name="Follow up",
        details={"enabled": True, "scenario_id": "contactIsBusy", "followup_sequence": []},
    )
    assert followup.id
    changed = await hoop.agents.update_followup_settings(agent.id, action_ids=[followup.id], followup_settings=settings)
    assert changed.type == "advancedFollowup"
    await hoop.agents.actions.delete(agent.id, action.id)
    assert (await hoop.agents.delete(agent.id)).id == agent.id


async def test_generations(hoop: HoopAI) -> None:
    generation = await hoop.generations.get(message_id="message_1", source="conversation")
    assert generation.prompt


async def test_voice_calls(hoop: HoopAI, server: Sandbox) -> None:
    calls = await hoop.voice_calls.list(direction="inbound", start_date=datetime(2020, 1, 1, tzinfo=timezone.utc))
    call = calls[0]
    assert call.id
    transcript = await hoop.voice_calls.transcript(call.id)
    assert transcript.segments
    link = await hoop.voice_calls.recording(call.id)
    assert (await hoop.download(link.url))[:4] == b"RIFF"
    async with httpx.AsyncClient(headers={"Authorization": "Bearer mine"}) as careless:
        assert (await careless.get(link.url)).status_code >= 400


async def test_voice_agents_actions_and_logs(hoop: HoopAI) -> None:
    agent = await hoop.voice_agents.create(agent_name="Eve", max_call_duration=300)
    assert (await hoop.voice_agents.update(agent.id, agent_name="Eva")).agent_name == "Eva"
    action = await hoop.voice_actions.create(
        agent_id=agent.id,
        action_type="SMS",
        name="Text",
        action_parameters={"trigger_prompt": "When asked", "trigger_message": "One moment", "message_body": "Hi"},
    )
    assert isinstance(action, models.VoiceActionSms)
    assert (await hoop.voice_actions.get(action.id)).name == "Text"
    changed = await hoop.voice_actions.update(
        action.id,
        agent_id=agent.id,
        action_type="KNOWLEDGE_BASE",
        name="Look up",
        action_parameters={"trigger_prompt": "A question", "knowledge_base_id": "kb"},
    )
    assert changed.action_type == "KNOWLEDGE_BASE"
    assert (await hoop.voice_agents.get(agent.id)).actions
    assert agent.id in [each.id async for each in hoop.voice_agents.list(page_size=1)]
    await hoop.voice_actions.delete(action.id, agent_id=agent.id)
    await hoop.voice_agents.delete(agent.id)
    with pytest.raises(NotFoundError):
        await hoop.voice_agents.get(agent.id)
    logs = [each async for each in hoop.call_logs.list(page_size=1)]
    assert (await hoop.call_logs.get(logs[0].id)).id == logs[0].id
    now = datetime.now(timezone.utc)
    long_ago = now - timedelta(days=9000)
    assert list(await hoop.call_logs.list(start_date=long_ago, end_date=now, agent_id="voice_agent_1")) == logs
    assert list(await hoop.call_logs.list(action_type=["SMS", "CUSTOM_ACTION"])) == []


async def test_knowledge_bases(hoop: HoopAI) -> None:
    base = await hoop.knowledge_bases.create(name="Help")
    assert base.id
    await hoop.knowledge_bases.update(base.id, name="Help 2")
    assert (await hoop.knowledge_bases.get(base.id)).name == "Help 2"
    assert base.id in [each.id async for each in hoop.knowledge_bases.list(limit=1)]
    ids = [
        (await hoop.faqs.create(knowledge_base_id=base.id, question=f"Q{number}?", answer="A")).id
        for number in range(5)
    ]
    assert [each.id async for each in hoop.faqs.list(knowledge_base_id=base.id, limit=2)] == ids
    await hoop.faqs.update(ids[0], question="Q?", answer="B")
    await hoop.faqs.delete(ids[1])
    crawl = await hoop.crawler.discover(knowledge_base_id=base.id, url="https://example.com", option="Path")
    operation = crawl.operation_id
    polls = [await hoop.crawler.status(operation_id=operation, knowledge_base_id=base.id) for _ in range(3)]
    details = [poll.operation_details for poll in polls]
    assert [each.status for each in details if each is not None] == ["Processing", "Successful", "Successful"]
    pages = [each.id async for each in hoop.crawler.list_pages(knowledge_base_id=base.id, page_length=2)]
    assert pages or polls[-1].aggregate
    pages = pages or [record.id for group in polls[-1].aggregate or () for record in group.records or ()]
    await hoop.crawler.train(knowledge_base_id=base.id, operation_id=operation, url_ids=pages)
    trained = [each.id async for each in hoop.crawler.list_pages(knowledge_base_id=base.id, page_length=1, page=1)]
    assert trained
    assert (await hoop.crawler.delete_pages(knowledge_base_id=base.id, url_ids=trained[:1])).success is True
    assert (await hoop.knowledge_bases.delete(base.id)).success is True


async def test_preferences(hoop: HoopAI) -> None:
    await hoop.preferences.create_custom_subtype(name="News", channel="email", language="en")
    listed = await hoop.preferences.list_custom_subtypes()
    assert "News" in str(listed)
    await hoop.preferences.unsubscription_status(contact_id="contact_1")
    await hoop.preferences.change_unsubscription(
        contact_id="contact_1",
        email="a@example.com",
        subscription_action={"type": "default", "subtype_status": "unsubscribed"},
    )


async def test_oauth(hoop: HoopAI, server: Sandbox) -> None:
    token = await hoop.oauth.access_token(
        client_id=server.client_id,
        client_secret=server.client_secret,
        grant_type="client_credentials",
        user_type="Company",
    )
    assert token.access_token
    assert token.access_token not in repr(token)
    company = HoopAI(token.access_token, base_url=server.url, rate_limit=None, strict=True)
    async with company:
        places = [each async for each in company.oauth.installed_locations(company_id="company_sandbox", app_id="app")]
        assert places
        located = await company.oauth.location_token(company_id="company_sandbox", location_id=server.location_id)
        assert located.access_token


async def test_refusals_are_typed(hoop: HoopAI, server: Sandbox) -> None:
    async with HoopAI("wrong-key-0123", base_url=server.url, location_id="loc_sandbox", rate_limit=None) as wrong:
        with pytest.raises(AuthenticationError) as refused:
            await wrong.bots.list()
    assert "wrong-key-0123" not in str(refused.value)
    with pytest.raises(UnprocessableEntityError) as senseless:
        await hoop.request("PATCH", "/conversations/bots/bot_1/status", json={"locationId": "loc_sandbox", "status": 7})
    assert "status" in senseless.value.detail


@on_every_backend
async def test_under_every_event_loop() -> None:
    with Sandbox(tier=None, validate_responses=True) as server:
        async with connect(server) as hoop:
            sent = await hoop.messages.send(type="SMS", contact_id="contact_trio", message="Hello")
            assert [each.body async for each in hoop.messages.list(sent.conversation_id)] == ["Hello"]
            assert (await hoop.messages.recording("message_call"))[:4] == b"RIFF"
            with pytest.raises(NotFoundError):
                await hoop.bots.get("nobody")


async def test_a_429_is_ridden_out() -> None:
    waits: list[float] = []
    moment = 1000.0

    def clock() -> float:
        return moment

    with Sandbox(tier="standard", monotonic=clock) as server:
        async with connect(server) as hoop:
            patient = hoop.with_options(retry=RetryPolicy(max_attempts=2, base_delay=0))

            async def pass_time(seconds: float) -> None:
                nonlocal moment
                waits.append(seconds)
                moment += seconds

            patient._sender._sleep = pass_time
            attempts = [response_info(await patient.bots.list()).attempts for _ in range(11)]
    assert attempts == [1] * 10 + [2]
    assert waits == [1.0]
    assert [request.status for request in server.requests].count(429) == 1
