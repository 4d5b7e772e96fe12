from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.testing.tools import HERE, ok, refused

BASES, FAQS, CRAWLER = "/knowledge-bases/", "/knowledge-bases/faqs", "/knowledge-bases/crawler"
BASE = {**HERE, "knowledgeBaseId": "knowledge_base_1"}


def test_a_knowledge_base_lives_and_dies(api: httpx.Client) -> None:
    base = ok(api.post(BASES, json={**HERE, "name": "Menu", "description": "Food"}))["data"]
    assert (base["nameLowerCase"], base["kbMetadata"]["faqs"]) == ("menu", 0)
    path = f"/knowledge-bases/{base['id']}"
    assert ok(api.put(path, json={"name": "Drinks"})) == {"success": True}
    assert ok(api.get(path))["data"]["nameLowerCase"] == "drinks"
    ok(api.post(FAQS, json={**BASE, "knowledgeBaseId": base["id"], "question": "Q?", "answer": "A."}))
    assert ok(api.get(path))["data"]["kbMetadata"]["faqs"] == 1
    assert ok(api.delete(path)) == {"success": True}
    refused(api.get(path), 404)
    refused(api.get(FAQS, params={**HERE, "knowledgeBaseId": base["id"]}), 404)


def test_a_location_has_at_most_15(api: httpx.Client) -> None:
    for n in range(14):
        ok(api.post(BASES, json={**HERE, "name": f"Base {n}"}))
    refused(api.post(BASES, json={**HERE, "name": "One more"}), 422)
    ok(api.delete("/knowledge-bases/knowledge_base_1"))
    ok(api.post(BASES, json={**HERE, "name": "One more"}))


def test_they_page_by_the_last_id(api: httpx.Client) -> None:
    ids = [ok(api.post(BASES, json={**HERE, "name": f"Base {n}"}))["data"]["id"] for n in range(4)]
    first = ok(api.get(BASES, params={**HERE, "limit": 3}))["data"]
    assert (first["activeCount"], first["hasMore"], first["lastKnowledgeBaseId"]) == (5, True, ids[1])
    second = ok(api.get(BASES, params={**HERE, "limit": 3, "lastKnowledgeBaseId": ids[1]}))["data"]
    assert ([row["id"] for row in second["knowledgeBases"]], second["hasMore"]) == (ids[2:], False)
    assert ok(api.get(BASES, params={**HERE, "query": "base"}))["data"]["activeCount"] == 5
    assert ok(api.get(BASES, params={**HERE, "query": "no such"}))["data"]["lastKnowledgeBaseId"] is None


def test_faqs(api: httpx.Client) -> None:
    ids = [ok(api.post(FAQS, json={**BASE, "question": f"Q{n}?", "answer": "A."}))["faq"]["id"] for n in range(11)]
    first = ok(api.get(FAQS, params=BASE))
    assert (first["count"], len(first["faqs"]), first["hasMore"], first["lastFaqId"]) == (11, 10, True, ids[9])
    assert [row["id"] for row in ok(api.get(FAQS, params={**BASE, "lastFaqId": ids[9]}))["faqs"]] == ids[10:]
    ok(api.put(f"{FAQS}/{ids[0]}", json={"question": "NEW?", "answer": "Yes."}))
    assert ok(api.get(FAQS, params=BASE))["faqs"][0]["questionLowerCase"] == "new?"
    refused(api.put(f"{FAQS}/{ids[0]}", json={"question": "NEW?"}), 400)
    ok(api.delete(f"{FAQS}/{ids[0]}"))
    refused(api.delete(f"{FAQS}/{ids[0]}"), 404)


@pytest.mark.parametrize(("option", "count"), [("Exact", 1), ("Path", 3), ("Domain", 5)])
def test_discover_poll_train(api: httpx.Client, option: str, count: int) -> None:
    started = ok(api.post(CRAWLER, json={**BASE, "url": "https://example.com/", "option": option}))["data"]
    assert started["status"] == "Pending"
    query = {**BASE, "operationId": started["operationId"]}

    def status() -> dict[str, Any]:
        report: dict[str, Any] = ok(api.get(f"{CRAWLER}/status", params=query))["data"]
        return report

    refused(api.post(f"{CRAWLER}/train", json={**query, "urlIds": []}), 422)
    assert status()["aggregate"] == []
    report = status()
    assert report["operationDetails"]["status"] == "Successful"
    assert report["operationDetails"]["discoveredUrlsCount"] == count
    (group,) = report["aggregate"]
    assert group["_id"] == "Successful"
    pages = [row["id"] for row in group["records"]]
    assert ok(api.get(CRAWLER, params=BASE)) == {"count": 0, "urls": []}
    ok(api.post(f"{CRAWLER}/train", json={**query, "urlIds": [*pages, pages[0]]}))
    assert status()["operationDetails"]["trainedUrlsCount"] == count
    listed = [ok(api.get(CRAWLER, params={**BASE, "page": 1, "pageLength": 2})) for _ in range(2)]
    assert [each["count"] for each in listed] == [count, count]
    assert [each["urls"][0]["status"] for each in listed] == ["Training", "Successful"]
    assert ok(api.get("/knowledge-bases/knowledge_base_1"))["data"]["kbMetadata"]["urls"] == count
    assert ok(api.get(CRAWLER, params={**BASE, "query": "PRICES"}))["count"] == (count > 1)
    ok(api.request("DELETE", CRAWLER, json={**BASE, "urlIds": pages[:1]}))
    assert ok(api.get(CRAWLER, params=BASE))["count"] == count - 1
    refused(api.request("DELETE", CRAWLER, json={**BASE, "urlIds": pages[:1]}), 404)


def test_a_crawl_goes_pending_processing_successful(api: httpx.Client) -> None:
    started = ok(api.post(CRAWLER, json={**BASE, "url": "https://example.com", "option": "Exact"}))["data"]
    query = {**BASE, "operationId": started["operationId"]}
    polls = [ok(api.get(f"{CRAWLER}/status", params=query))["data"]["operationDetails"]["status"] for _ in range(3)]
    assert [started["status"], *polls] == ["Pending", "Processing", "Successful", "Successful"]


def test_what_cannot_be_crawled(api: httpx.Client) -> None:
    for url in ("example.com", "ftp://example.com", "https://", "https://[", ""):
        refused(api.post(CRAWLER, json={**BASE, "url": url, "option": "Exact"}), 422)
    started = ok(api.post(CRAWLER, json={**BASE, "url": "https://example.com", "option": "Exact"}))["data"]
    other = ok(api.post(BASES, json={**HERE, "name": "Other"}))["data"]["id"]
    query = {**HERE, "knowledgeBaseId": other, "operationId": started["operationId"]}
    refused(api.get(f"{CRAWLER}/status", params=query), 404)
