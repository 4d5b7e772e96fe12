"""Knowledge bases with their questions and answers."""

from __future__ import annotations

from typing import Final

from dialogkit.testing.engine.document import Json
from dialogkit.testing.engine.paging import after_id, matches
from dialogkit.testing.engine.refusals import wrong
from dialogkit.testing.engine.registry import Registry, pick
from dialogkit.testing.engine.state import Row, State
from dialogkit.testing.hoopai import tables
from dialogkit.testing.hoopai.calls import Call

REGISTRY: Final = Registry()
_handles: Final = REGISTRY.handles

_MOST: Final = 15


def find_knowledge_base(call: Call, id_: str) -> Row:
    """Return a knowledge base, or refuse with 404."""
    return call.row(tables.knowledge_bases(call.state), id_)


def new_knowledge_base(state: State, location_id: str, name: str, description: str = "", id_: str | None = None) -> Row:
    """Add a knowledge base."""
    now = state.now()
    row = {
        "name": name,
        "nameLowerCase": name.lower(),
        "description": description,
        "locationId": location_id,
        "deleted": False,
        "isDefault": False,
        "createdAt": now,
        "updatedAt": now,
    }
    return tables.knowledge_bases(state).add(row, id_)


def _view(call: Call, row: Row) -> Row:
    faqs = tables.faqs(call.state).find(knowledgeBaseId=row["id"])
    pages = tables.crawled_pages(call.state).find(knowledgeBaseId=row["id"], trained=True)
    rest = {"richText": 0, "files": 0, "webSearches": 0, "tables": 0}
    return {**row, "kbMetadata": {"faqs": len(faqs), "urls": len(pages), **rest}}


@_handles("list_knowledge_bases")
def list_knowledge_bases(call: Call) -> Json:
    """Return knowledge bases after the last one received."""
    everything = call.rows(tables.knowledge_bases(call.state))
    found = [row for row in everything if matches(call.query.get("query"), row["name"])]
    last, limit = call.query.get("lastKnowledgeBaseId"), call.query.get("limit", 20)
    page, more = after_id(found, last, limit, "knowledge base")
    rows = [pick(row, "id", "name", "createdAt") for row in page]
    shown = {"knowledgeBases": rows, "activeCount": len(everything), "hasMore": more}
    return {"success": True, "data": {**shown, "lastKnowledgeBaseId": page[-1]["id"] if page else None}}


@_handles("create_knowledge_base")
def create_knowledge_base(call: Call) -> Json:
    """Add a knowledge base, unless the location has as many as it may."""
    if len(call.rows(tables.knowledge_bases(call.state))) >= _MOST:
        raise wrong(f"a location can have at most {_MOST} knowledge bases")
    row = new_knowledge_base(call.state, call.location_id, call.body["name"], call.body.get("description", ""))
    return {"success": True, "data": _view(call, row)}


@_handles("get_knowledge_base")
def get_knowledge_base(call: Call) -> Json:
    """Return a knowledge base with what it holds, counted."""
    return {"success": True, "data": _view(call, find_knowledge_base(call, call.path["knowledgeBaseId"]))}


@_handles("update_knowledge_base")
def update_knowledge_base(call: Call) -> Json:
    """Change what is sent."""
    row = find_knowledge_base(call, call.path["knowledgeBaseId"])
    row.update(pick(call.body, "name", "description"), updatedAt=call.state.now())
    row["nameLowerCase"] = row["name"].lower()
    return {"success": True}


@_handles("delete_knowledge_base")
def delete_knowledge_base(call: Call) -> Json:
    """Remove a knowledge base with all that it holds."""
    row = find_knowledge_base(call, call.path["knowledgeBaseId"])
    for table in (tables.faqs(call.state), tables.crawled_pages(call.state), tables.crawls(call.state)):
        table.remove_all(knowledgeBaseId=row["id"])
    tables.knowledge_bases(call.state).remove(row["id"])
    return {"success": True}


@_handles("list_faqs")
def list_faqs(call: Call) -> Json:
    """Return questions and answers after the last one received."""
    base = find_knowledge_base(call, call.query["knowledgeBaseId"])
    rows = tables.faqs(call.state).find(knowledgeBaseId=base["id"])
    page, more = after_id(rows, call.query.get("lastFaqId"), call.query.get("limit", 10), "FAQ")
    return {"count": len(rows), "faqs": page, "lastFaqId": page[-1]["id"] if page else None, "hasMore": more}


@_handles("create_faq")
def create_faq(call: Call) -> Json:
    """Add a question with its answer."""
    base, now = find_knowledge_base(call, call.body["knowledgeBaseId"]), call.state.now()
    row = {
        **pick(call.body, "question", "answer"),
        "questionLowerCase": call.body["question"].lower(),
        "knowledgeBaseId": base["id"],
        "locationId": base["locationId"],
        "trainedUrlId": call.state.ids.mint("trained"),
        "deleted": False,
        "createdAt": now,
        "updatedAt": now,
    }
    return {"success": True, "faq": tables.faqs(call.state).add(row)}


def _faq(call: Call) -> Row:
    return call.row(tables.faqs(call.state), call.path["id"])


@_handles("update_faq")
def update_faq(call: Call) -> Json:
    """Replace question and answer."""
    row, question = _faq(call), call.body["question"]
    row.update(pick(call.body, "question", "answer"), questionLowerCase=question.lower(), updatedAt=call.state.now())
    return {"success": True}


@_handles("delete_faq")
def delete_faq(call: Call) -> Json:
    """Remove a question with its answer."""
    tables.faqs(call.state).remove(_faq(call)["id"])
    return {"success": True}
