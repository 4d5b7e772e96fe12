"""Does an answer of the sandbox, or an event, say what the document promises?"""

from __future__ import annotations

import json

from dialogkit.testing.engine.document import Document, Json, Operation
from dialogkit.testing.engine.registry import Answer
from dialogkit.testing.engine.schemas import Schemas


def check_answer(schemas: Schemas, operation: Operation, answer: Answer) -> str | None:
    """Return what is wrong with an answer to an operation, as a sentence; None if it conforms."""
    declared = operation.answers.get(answer.status)
    subject = f"The sandbox's answer {answer.status} to {operation.id} does not conform to the document"
    if declared is None and 200 <= answer.status < 300 and not answer.content:
        return None  # platforms answer so here and there, and an empty success is one everywhere
    if declared is None:
        return f"{subject}: the status is not declared."
    if not declared.content:
        return f"{subject}: it must have no body." if answer.content else None
    if answer.media_type not in declared.content:
        return f"{subject}: its type is {answer.media_type}, not {' or '.join(declared.content)}."
    if answer.media_type != "application/json":
        return None
    problems = schemas.problems(declared.content[answer.media_type], json.loads(answer.content))
    return f"{subject}: {'; '.join(problem.text for problem in problems)}." if problems else None


def check_event(document: Document, schemas: Schemas, name: str, payload: Json) -> str | None:
    """Return what is wrong with an event, as a sentence; None if it conforms, or if the document does not know it."""
    described = document.raw.get("webhooks", {}).get(name)
    if described is None:
        return None
    content = document.resolve(described["post"]["requestBody"])["content"]
    problems = schemas.problems(content["application/json"]["schema"], payload)
    texts = "; ".join(problem.text for problem in problems)
    return f"The event {name} does not conform to the document: {texts}." if problems else None
