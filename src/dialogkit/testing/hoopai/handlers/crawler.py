"""The crawler: discover pages, poll until they are found, train the knowledge base on some of them.

Time passes by polling: a crawl is Pending when it starts, Processing at the first look at its status, and Successful
from the second on. A page is Training until it has been listed once.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import matches, numbered
from dialogkit.testing.engine.refusals import not_found, wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call
from dialogkit.testing.hoopai.handlers.knowledge_bases import find_knowledge_base

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_NEXT: Final = {"Pending": "Processing", "Processing": "Successful"}
_FOUND: Final = {
    "Exact": ("",),
    "Path": ("", "/about", "/prices"),
    "Domain": ("", "/about", "/prices", "/team", "/jobs"),
}
_PAGE: Final = ("id", "url", "title", "status", "locationId", "knowledgeBaseId", "content", "contentEditedByUser")


def _crawl(call: Call, id_: str, knowledge_base_id: str) -> Row:
    table = tables.crawls(call.state)
    crawl = call.row(table, id_)
    if crawl["knowledgeBaseId"] != knowledge_base_id:
        raise not_found(table.kind, id_)
    return crawl


@_handles("discover_pages")
def discover_pages(call: Call) -> Json:
    """Start a crawl."""
    base, now = find_knowledge_base(call, call.body["knowledgeBaseId"]), call.state.now()
    url: str = call.body["url"]
    if not _is_address(url):
        raise wrong("url must be a URL address")
    row = {
        "locationId": call.location_id,
        "knowledgeBaseId": base["id"],
        "url": url,
        "mode": call.body["option"],
        "status": "Pending",
        "createdAt": now,
        "updatedAt": now,
    }
    crawl = tables.crawls(call.state).add(row)
    return {"success": True, "data": {"operationId": crawl["id"], **pick(crawl, "status", "url")}}


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


@_handles("get_crawl_status")
def get_crawl_status(call: Call) -> Json:
    """Return how far a crawl is, and let it go on."""
    crawl = _crawl(call, call.query["operationId"], call.query["knowledgeBaseId"])
    if crawl["status"] in _NEXT:
        crawl.update(status=_NEXT[crawl["status"]], updatedAt=call.state.now())
        if crawl["status"] == "Successful":
            _find_pages(call, crawl)
    pages = tables.crawled_pages(call.state).find(crawlId=crawl["id"])
    names = ("locationId", "knowledgeBaseId", "status", "url", "mode", "createdAt", "updatedAt")
    counts = {"discoveredUrlsCount": len(pages), "trainedUrlsCount": sum(page["trained"] for page in pages)}
    details = {"_id": crawl["id"], **counts, **pick(crawl, *names), "__v": 0}
    groups: dict[str, list[Any]] = {}
    for page in pages:
        groups.setdefault(page["status"], []).append(pick(page, "id", "url", "title"))
    aggregate = [{"_id": status, "records": records} for status, records in groups.items()]
    return {"success": True, "data": {"aggregate": aggregate, "operationDetails": details}}


def _find_pages(call: Call, crawl: Row) -> None:
    for path in _FOUND[crawl["mode"]]:
        url = crawl["url"].rstrip("/") + path
        row = {
            "crawlId": crawl["id"],
            "url": url,
            "title": f"Page {path or '/'}",
            "status": "Successful",
            "trained": False,
            "content": f"https://files.example.com/{call.state.ids.mint('content')}.txt",
            "contentEditedByUser": False,
            **pick(crawl, "locationId", "knowledgeBaseId"),
            "updatedAt": crawl["updatedAt"],
        }
        tables.crawled_pages(call.state).add(row)


@_handles("train_pages")
def train_pages(call: Call) -> Json:
    """Take pages that a crawl has found into the knowledge base."""
    body = call.body
    crawl = _crawl(call, body["operationId"], body["knowledgeBaseId"])
    if crawl["status"] in _NEXT:
        raise wrong("operationId must be of a crawl that has ended: poll its status first")
    for page in _pages(call, body["urlIds"], crawlId=crawl["id"]):
        page.update(trained=True, status="Training", updatedAt=call.state.now())
    return {"success": True}


def _pages(call: Call, ids: list[str], **values: str) -> list[Row]:
    table = tables.crawled_pages(call.state)
    known = {row["id"]: row for row in table.find(**values)}
    for id_ in ids:
        if id_ not in known:
            raise not_found(table.kind, id_)
    return [known[id_] for id_ in dict.fromkeys(ids)]


@_handles("list_crawled_pages")
def list_crawled_pages(call: Call) -> Json:
    """Return a numbered page of the web pages that the knowledge base was trained on."""
    base = find_knowledge_base(call, call.query["knowledgeBaseId"])
    rows = tables.crawled_pages(call.state).find(knowledgeBaseId=base["id"], trained=True)
    found = [row for row in rows if matches(call.query.get("query"), row["url"])]
    page = numbered(found, call.query.get("page", 1), call.query.get("pageLength", 10))
    shown = [pick(row, *_PAGE, "updatedAt") for row in page]
    for row in page:
        row["status"] = "Successful"
    return {"count": len(found), "urls": shown}


@_handles("delete_crawled_pages")
def delete_crawled_pages(call: Call) -> Json:
    """Remove web pages from the knowledge base."""
    base = find_knowledge_base(call, call.body["knowledgeBaseId"])
    for page in _pages(call, call.body["urlIds"], knowledgeBaseId=base["id"]):
        tables.crawled_pages(call.state).remove(page["id"])
    return {"success": True}
