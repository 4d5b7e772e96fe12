"""Schemathesis, which knows nothing of the sandbox but the document, finds nothing to complain about.

It breaks every rule of the document in turn, and keeps them all in turn. A valid request would mostly end in a 403 or
404, so it gets ids that the sandbox knows. The sandbox checks its answers in these runs, too: a fault is a 500.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, settings

from dialogkit.testing import Sandbox
from dialogkit.testing.engine.document import is_object
from dialogkit.testing.engine.links import StoredFile
from dialogkit.testing.engine.state import Row
from dialogkit.testing.hoopai import tables
from tests.testing.tools import HERE, VERSION

Test = TypeVar("Test", bound=Callable[..., None])
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]
DOCUMENT = Path(__file__).resolve().parents[3] / "openapi" / "hoopai.yaml"
schemathesis: Any = import_module("schemathesis")  # Any, for its types are incomplete
checks: Any = import_module("schemathesis.specs.openapi.checks")
CHECKS: list[Any] = [
    import_module("schemathesis.checks").not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]
KNOWN: Mapping[str, Any] = {
    **HERE,
    "botId": "bot_1",
    "entryId": "entry_1",
    "conversationId": "conversation_1",
    "messageId": "message_call",
    "emailMessageId": "email_1",
    "agentId": "agent_1",
    "actionId": "action_1",
    "actionIds": ["action_1"],
    "callId": "call_1",
    "knowledgeBaseId": "knowledge_base_1",
    "operationId": "crawl_1",
    "urlIds": ["page_1"],
    "companyId": "company_sandbox",
    "uploadId": "upload_1",
    "filePath": "path_1",
    "model": "gpt-4",
    "mode": "auto-pilot",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-client-secret",
    "grant_type": "client_credentials",
}
OF_TAG: Mapping[str, Mapping[str, Any]] = {
    "messages": {"id": "message_call"},
    "emails": {"id": "email_1"},
    "faqs": {"id": "faq_1"},
    "preferences": {"id": "subtype_1"},
    "voice_agents": {"agentId": "voice_agent_1"},
    "voice_actions": {"agentId": "voice_agent_1", "actionId": "vaction_1"},
}
ALIASED = {"get_voice_agent", "list_voice_agents"}
"""Operations whose answers use an alias (`x-also-known-as`), of which JSON Schema knows nothing."""
CURSORS = {"startAfter", "startAfterDate", "lastMessageId", "lastFaqId", "lastKnowledgeBaseId", "cursor"}

schema: Any = schemathesis.openapi.from_path(DOCUMENT)


def for_each_operation(test: Test) -> Test:
    return cast("Test", schema.parametrize()(test))


def furnish(sandbox: Sandbox) -> None:
    """Add rows under the ids above, besides those that the sandbox starts with."""
    state, base = sandbox.app.state, {"knowledgeBaseId": "knowledge_base_1", **HERE}
    steps: Row = {"enabled": True, "scenarioId": "contactIsBusy", "followupSequence": []}
    now = state.now()
    tables.conversations(state).get("conversation_1")["type"] = 4
    tables.messages(state).get("message_call")["subtype"] = "EXTERNAL_CALL"
    tables.bot_knowledge(state).add({"botId": "bot_1", **HERE, "type": "text"}, "entry_1")
    action = {"agentId": "agent_1", "type": "advancedFollowup", "name": "Follow up", "details": steps}
    tables.agent_actions(state).add(action, "action_1")
    parameters = {"triggerPrompt": "asks", "triggerMessage": "Sent.", "messageBody": "Hello"}
    voice_action = {"actionType": "SMS", "name": "Text", "actionParameters": parameters}
    tables.voice_actions(state).add({"agentId": "voice_agent_1", **HERE, **voice_action}, "vaction_1")
    dates = {"createdAt": now, "updatedAt": now}
    crawl = {"url": "https://example.com", "mode": "Exact", "status": "Successful"}
    tables.crawls(state).add({**base, **crawl, **dates}, "crawl_1")
    page = {"url": "https://example.com", "title": "Home", "content": "https://files.example.com/1.txt"}
    flags = {"status": "Successful", "trained": True, "contentEditedByUser": False, "crawlId": "crawl_1"}
    tables.crawled_pages(state).add({**base, **page, **flags, "updatedAt": now}, "page_1")
    faq = {"question": "Q?", "questionLowerCase": "q?", "answer": "A.", "trainedUrlId": "t", "deleted": False}
    tables.faqs(state).add({**base, **faq, **dates}, "faq_1")
    tables.subtypes(state).add({**HERE, "name": "News"}, "subtype_1")
    upload = {"file": StoredFile("a.txt", "text/plain", b"text"), "filePath": "path_1"}
    tables.uploads(state).add({**HERE, **upload}, "upload_1")


def aim(case: Any) -> None:
    """Put known ids where a valid request has made-up ones. The parts are shared between cases, hence the copies."""
    known = {**KNOWN, **OF_TAG.get((case.operation.tags or [""])[0], {})}
    case.path_parameters = aimed(case.path_parameters, known)
    case.query = aimed(case.query, known)
    if is_object(case.body):
        case.body = aimed(case.body, known)


def aimed(values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: known.get(name, value) for name, value in values.items() if name not in CURSORS}


@for_each_operation
@settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=SUPPRESSED)
def test_answers_conform(case: Any, sandbox: Sandbox) -> None:
    sandbox.reset()
    furnish(sandbox)
    chosen = [*CHECKS, checks.negative_data_rejection]
    if case.meta is None or case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        aim(case)
        chosen = [
            *CHECKS
        ]  # what was changed is taken for invalid when it cannot be expressed as JSON, as a file cannot
    if case.operation.definition.raw["operationId"] in ALIASED:
        chosen.remove(checks.response_schema_conformance)  # the sandbox checks these by itself, and knows aliases
    headers = {"Authorization": f"Bearer {sandbox.api_key}", **VERSION}
    case.call_and_validate(base_url=sandbox.url, headers=headers, checks=chosen)
