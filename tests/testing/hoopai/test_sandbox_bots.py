from __future__ import annotations

import httpx

from dialogkit.testing import Sandbox
from tests.testing.tools import HERE, ok, refused

NEW = {**HERE, "name": "Sales", "systemPrompt": "Sell."}


def test_a_bot_lives_and_dies(api: httpx.Client) -> None:
    bot = ok(api.post("/conversations/bots", json={**NEW, "temperature": 0.2}))
    assert (bot["status"], bot["model"], bot["temperature"]) == ("draft", "gpt-4", 0.2)
    path = f"/conversations/bots/{bot['id']}"
    changed = ok(api.put(path, json={**HERE, "maxTokens": 9}))
    assert changed == {**bot, "maxTokens": 9, "updatedAt": changed["updatedAt"]}
    assert ok(api.patch(f"{path}/status", json={**HERE, "status": "active"})) == {"id": bot["id"], "status": "active"}
    assert ok(api.get(path, params=HERE))["status"] == "active"
    assert [each["id"] for each in ok(api.get("/conversations/bots", params=HERE))["bots"]] == ["bot_1", bot["id"]]
    assert ok(api.delete(path, params=HERE)) == {"success": True, "id": bot["id"]}
    refused(api.get(path, params=HERE), 404)
    refused(api.delete(path, params=HERE), 404)


def test_an_unknown_model_is_refused(api: httpx.Client) -> None:
    assert "model hal-9000 is not known" in refused(
        api.post("/conversations/bots", json={**NEW, "model": "hal-9000"}), 422
    )
    refused(api.put("/conversations/bots/bot_1", json={**HERE, "model": "hal-9000"}), 422)


def test_an_unknown_status_is_refused(api: httpx.Client) -> None:
    refused(api.patch("/conversations/bots/bot_1/status", json={**HERE, "status": "asleep"}), 422)
    refused(api.patch("/conversations/bots/bot_1/status", json=HERE), 400)


def test_deleting_a_bot_keeps_its_conversations(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_conversations(2, botId="bot_1")
    assert ok(api.get("/conversations/", params={"botId": "bot_1"}))["total"] == 3
    before = ok(api.get("/conversations/"))["total"]
    ok(api.delete("/conversations/bots/bot_1", params=HERE))
    assert ok(api.get("/conversations/", params={"botId": "bot_1"}))["total"] == 0
    assert ok(api.get("/conversations/"))["total"] == before


def test_knowledge(api: httpx.Client) -> None:
    path = "/conversations/bots/bot_1/knowledge"
    text = ok(api.post(path, json={**HERE, "type": "text", "title": "Hours", "content": "9 to 5"}))
    page = ok(api.post(path, json={**HERE, "type": "url", "url": "https://example.com"}))
    assert (text["botId"], text["title"], page["title"]) == ("bot_1", "Hours", "https://example.com")
    assert ok(api.get(path, params=HERE)) == {"entries": [text, page]}
    ok(api.delete(f"{path}/{text['id']}", params=HERE))
    assert ok(api.get(path, params=HERE)) == {"entries": [page]}
    refused(api.delete(f"{path}/{text['id']}", params=HERE), 404)
    other = ok(api.post("/conversations/bots", json=NEW))["id"]
    refused(api.delete(f"/conversations/bots/{other}/knowledge/{page['id']}", params=HERE), 404)
    ok(api.delete("/conversations/bots/bot_1", params=HERE))
    refused(api.get(path, params=HERE), 404)


def test_knowledge_of_an_unknown_kind_is_refused(api: httpx.Client) -> None:
    path = "/conversations/bots/bot_1/knowledge"
    assert "text, url" in refused(api.post(path, json={**HERE, "type": "pdf"}), 422)
    assert (
        refused(api.post(path, json={**HERE, "type": "text"}), 400)
        == "title should not be empty; content should not be empty"
    )
