"""Does an answer of the sandbox say what the document promises?"""

from __future__ import annotations

import json

from dialogkit.testing.document import Operation
from dialogkit.testing.registry import Answer
from dialogkit.testing.schemas import Schemas


def check_answer(schemas: Schemas, operation: Operation, answer: Answer) -> str | None:
    """Return what is wrong with an answer to an operation, as a sentence; None if it conforms."""
    declared = operation.answers.get(answer.status)
    subject = f"The sandbox's answer {answer.status} to {operation.id} does not conform to the document"
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
