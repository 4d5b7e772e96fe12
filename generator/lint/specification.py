"""What OpenAPI itself says about a document."""

from __future__ import annotations

from collections.abc import Iterator

from openapi_spec_validator import OpenAPIV31SpecValidator

from generator.document import Document, Finding, pointer
from generator.schemas import references


def check_specification(document: Document) -> Iterator[Finding]:
    """Validate a document against OpenAPI 3.1."""
    version = str(document.data.get("openapi", ""))
    if not version.startswith("3.1."):
        yield Finding("/openapi", f"The version is 3.1, not {version or 'missing'}.")
        return
    if any(document.resolve(reference) is None for reference in references(document.data)):
        return  # The validator gives up at a reference that leads nowhere; that is a finding already.
    validator = OpenAPIV31SpecValidator(document.data)
    errors = list(validator.schema_validator.iter_errors(document.data))
    # The second half of its rules relies on the first, and on schemas of the right shape: it breaks where they are not.
    try:
        errors = errors or list(validator.root_validator(validator.schema_path))
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as reason:
        yield Finding("", f"The validator of OpenAPI cannot read this: {type(reason).__name__} {reason}.")
    for error in errors:
        message = " ".join(str(error.message).split())
        if len(message) > 300:
            message = f"{message[:300]} ..."
        yield Finding(pointer(*error.absolute_path), f"OpenAPI does not allow this: {message.rstrip('.')}.")
