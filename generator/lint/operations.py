"""Operations: their names, words, answers and bodies."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping

from generator.document import Document, Finding, JsonObject, as_list, as_object, is_object, pointer
from generator.lint.forms import SCALARS, forms, item_forms
from generator.lint.walk import OperationPlace, operations, schemas
from generator.naming import constant_name
from generator.reserved import imported_by
from generator.schemas import component_kind, merged_properties, reachable

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SUMMARY_LENGTH = 88
_BODIES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
_RESERVED_TAGS = {"models", "webhooks"}


def check_operations(document: Document) -> Iterator[Finding]:
    """Every operation has a name, a tag, a summary and exactly one success; bodies can be encoded."""
    seen: dict[str, str] = {}
    tags = {str(as_object(tag).get("name")): as_object(tag) for tag in as_list(document.data.get("tags"))}
    for number, tag in enumerate(as_list(document.data.get("tags"))):
        if not as_object(tag).get("description"):
            yield Finding(f"/tags/{number}", "A tag needs a description: it becomes the module's docstring.")
    for place in operations(document):
        yield from _id(place, seen)
        yield from _tag(place, tags)
        yield from _summary(place)
        yield from _body(document, place)
        if not place.webhook:
            yield from _success(document, place)
    yield from _bytes_in_json(document)


def _id(place: OperationPlace, seen: dict[str, str]) -> Iterator[Finding]:
    name = place.operation.get("operationId")
    inner = place.pointer + ("/operationId" if name else "")
    if not isinstance(name, str):
        yield Finding(inner, "An operation needs an `operationId`: it becomes the function's name.")
        return
    if not _SNAKE_CASE.fullmatch(name) or keyword.iskeyword(name):
        yield Finding(inner, f"The operationId `{name}` is not snake_case, or a word of Python's own.")
    if {name, constant_name(name)} & imported_by("functions.py.jinja"):
        yield Finding(inner, f"The operationId `{name}` is a name that the generated code needs for itself.")
    if name in seen:
        yield Finding(inner, f"The operationId `{name}` is taken by {seen[name]}.")
    seen.setdefault(name, f"{place.method.upper()} {place.path}")


def _tag(place: OperationPlace, declared: Mapping[str, object]) -> Iterator[Finding]:
    tags = as_list(place.operation.get("tags"))
    if len(tags) != 1:
        yield Finding(place.pointer, f"An operation has exactly one tag, its module; this one has {len(tags)}.")
        return
    tag = str(tags[0])
    inner = f"{place.pointer}/tags/0"
    if not _SNAKE_CASE.fullmatch(tag) or keyword.iskeyword(tag):
        yield Finding(inner, f"The tag `{tag}` is not snake_case, or a word of Python's own.")
    if tag in _RESERVED_TAGS and not place.webhook:
        yield Finding(inner, f"The tag `{tag}` is the name of a module that the generator makes for itself.")
    if tag not in declared:
        yield Finding(inner, f"The tag `{tag}` is not among the document's `tags`.")


def _summary(place: OperationPlace) -> Iterator[Finding]:
    summary = place.operation.get("summary")
    inner = f"{place.pointer}/summary"
    if not isinstance(summary, str) or not summary.strip():
        yield Finding(place.pointer, "An operation needs a `summary`: one sentence that says what it does.")
    elif not summary.endswith(".") or "\n" in summary:
        yield Finding(inner, "A summary is one sentence with a full stop.")
    elif len(summary) > _SUMMARY_LENGTH:
        yield Finding(inner, f"A summary has at most {_SUMMARY_LENGTH} characters; this one has {len(summary)}.")


def _success(document: Document, place: OperationPlace) -> Iterator[Finding]:
    responses = as_object(place.operation.get("responses"))
    good = [status for status in responses if status.startswith("2")]
    inner = f"{place.pointer}/responses"
    if len(good) != 1:
        yield Finding(inner, f"An operation has exactly one 2xx response; this one has {len(good)}.")
    for status in responses:
        if not re.fullmatch(r"[2-5][0-9][0-9]", status):
            yield Finding(inner + pointer(status), f"`{status}` is no HTTP status; name each one that is known.")
    for status in good:
        content = as_object(document.deref(responses[status]).get("content"))
        if len(content) > 1:
            yield Finding(inner + pointer(status), "A success has one media type: a function has one result.")


def _body(document: Document, place: OperationPlace) -> Iterator[Finding]:
    inner = f"{place.pointer}/requestBody"
    if "requestBody" not in place.operation:
        if place.webhook:
            yield Finding(place.pointer, "A webhook needs a `requestBody`: it is the event.")
        return
    content = as_object(document.deref(place.operation["requestBody"]).get("content"))
    if len(content) != 1:
        yield Finding(inner, f"A body has exactly one media type; this one has {len(content)}.")
    for name, media in content.items():
        here = inner + pointer("content", name)
        schema = as_object(media).get("schema")
        if name not in _BODIES:
            yield Finding(here, f"`{name}` cannot be encoded; bodies are {', '.join(_BODIES)}.")
        if not is_object(schema):
            yield Finding(here, "A body needs a schema.")
        elif place.webhook and ("$ref" not in schema or component_kind(document.deref(schema)) != "model"):
            yield Finding(f"{here}/schema", "An event is a named object; refer to its component.")
        elif name != "application/json" and component_kind(document.deref(schema)) != "model":
            yield Finding(f"{here}/schema", "The body of a form is an object with properties.")
        elif name != "application/json":
            yield from _form_body(document, f"{here}/schema", schema, name)


def _bytes_in_json(document: Document) -> Iterator[Finding]:
    sent: set[str] = set()
    for place in operations(document):
        body = document.deref(place.operation.get("requestBody"))
        if "application/json" in as_object(body.get("content")):
            sent |= reachable(document, place.operation["requestBody"]) | {f"#{place.pointer}/requestBody"}
    for schema in schemas(document):
        here = schema.pointer
        if as_object(schema.schema).get("format") == "binary" and any(
            f"#{here}/".startswith(f"{each}/") for each in sent
        ):
            yield Finding(here, "Bytes cannot be sent as JSON; a body that holds files is `multipart/form-data`.")


def _form_body(document: Document, place: str, schema: JsonObject, name: str) -> Iterator[Finding]:
    allowed = {*SCALARS, "null", *(["file"] if name == "multipart/form-data" else [])}
    for wire, property_ in merged_properties(document, document.deref(schema)).items():
        found = forms(document, property_) - {"array"} | item_forms(document, property_)
        if not found <= allowed:
            yield Finding(place, f"The property `{wire}` has no agreed form in `{name}`: neither one text nor several.")
