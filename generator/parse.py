"""Runs openapi-python-client's parser, and joins what it drops from the document itself.

The parser settles the structure: which operations belong to which tag, which parameters and bodies they have after
references and path items are resolved, which properties an object has after `allOf` is merged, and what is required.
Descriptions, limits, formats, discriminators and all `x-` keys are lost on its way; they come from the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import Class, ModelProperty

from generator.document import Document, Finding, JsonObject, as_list, as_object, pointer
from generator.normalise import normalise
from generator.schemas import METHODS, component_kind

_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-fA-F]+>")
_OPERATION = re.compile(r"parsing ([A-Z]+) (\S+) within")
_REMOVED = re.compile(r"removal of:\s*(/components/\S+)")
_SCHEMA = re.compile(r"parse schema (/components/\S+)")


@dataclass(frozen=True)
class ParsedOperation:
    """An operation as the parser sees it, with the part of the document that it comes from."""

    endpoint: Endpoint
    path: str
    method: str
    raw: JsonObject
    parameters: dict[tuple[str, str], JsonObject]
    """The parameters of the operation and its path item, by place and name."""

    @property
    def id(self) -> str:
        """The operation's id in the document."""
        return str(self.raw["operationId"])


@dataclass(frozen=True)
class Parsed:
    """A whole document as the parser sees it."""

    document: Document
    operations: tuple[ParsedOperation, ...]
    """In the document's order."""
    models: dict[str, ModelProperty]
    """The objects, by the name of their component."""


def parse(document: Document) -> tuple[Parsed | None, list[Finding]]:
    """Parse a linted document. Whatever the parser complains about is a finding."""
    config = Config.from_sources(
        ConfigFile(literal_enums=True, post_hooks=[]),
        MetaType("none"),
        document_source=Path(document.name),
        file_encoding="utf-8",
        overwrite=False,
        output_path=None,
    )
    data = GeneratorData.from_dict(normalise(document), config=config)
    if isinstance(data, GeneratorError):
        return None, [_finding(data)]
    errors = [*data.errors]
    for collection in data.endpoint_collections_by_tag.values():
        errors.extend(collection.parse_errors)
    if errors:
        return None, sorted({_finding(error) for error in errors})
    endpoints = {str(e.name): e for tag in data.endpoint_collections_by_tag.values() for e in tag.endpoints}
    models = {str(model.class_info.name): model for model in data.models}
    return Parsed(
        document=document,
        operations=tuple(_operations(document, endpoints)),
        models={
            name: models[str(Class.from_string(string=name, config=config).name)]
            for name, schema in document.schemas.items()
            if component_kind(schema) == "model"
        },
    ), []


def raw_operations(document: Document) -> Iterator[tuple[str, str, JsonObject, JsonObject]]:
    """Path, method, path item and operation, in the document's order."""
    for path, item in as_object(document.data.get("paths")).items():
        for method, operation in as_object(item).items():
            if method in METHODS:
                yield path, method, as_object(item), as_object(operation)


def parameters_of(document: Document, item: JsonObject, operation: JsonObject) -> dict[tuple[str, str], JsonObject]:
    """The parameters of an operation and of its path item, by place and name; references are resolved."""
    found: dict[tuple[str, str], JsonObject] = {}
    for holder in (item, operation):
        for entry in as_list(holder.get("parameters")):
            parameter = document.deref(entry)
            found[str(parameter.get("in")), str(parameter.get("name"))] = parameter
    return found


def _operations(document: Document, endpoints: dict[str, Endpoint]) -> Iterator[ParsedOperation]:
    for path, method, item, operation in raw_operations(document):
        yield ParsedOperation(
            endpoint=endpoints[str(operation["operationId"])],
            path=path,
            method=method.upper(),
            raw=operation,
            parameters=parameters_of(document, item, operation),
        )


def _finding(error: GeneratorError) -> Finding:
    text = f"{error.header} {error.detail or ''}"
    place = ""
    if match := _OPERATION.search(text):
        place = pointer("paths", match[2], match[1].lower())
    elif match := _SCHEMA.search(text) or _REMOVED.search(text):
        place = match[1]
    detail = " ".join(_OBJECT.sub("", error.detail or error.header).split())
    return Finding(place, f"The parser refuses this: {detail.rstrip('.')}.")
