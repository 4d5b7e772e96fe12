"""Runs openapi-python-client's parser, and joins what it drops from the document itself.

The parser settles the structure: which operations belong to which tag, which parameters and bodies they have after
references and path items are resolved, which properties an object has after `allOf` is merged, and what is required.
Descriptions, limits, formats, discriminators and all `x-` keys are lost on its way; they come from the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import Class, ModelProperty

from generator.document import Document, Finding, JsonObject, as_object, pointer
from generator.normalise import Normalised, normalise
from generator.schemas import METHODS, component_kind, parameters_of

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

    def parameters_in(self, place: str) -> list[JsonObject]:
        """The parameters in one place; those of the path in its order."""
        found = {name: raw for (where, name), raw in self.parameters.items() if where == place}
        if place != "path":
            return list(found.values())
        return [found[name] for name in re.findall(r"\{([^{}]*)\}", self.path)]

    name: str
    """What users write for the operation."""

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
    required: dict[str, frozenset[str]]
    """The required properties of objects, by the name of their component."""


def parse(document: Document, names: Mapping[str, str] = MappingProxyType({})) -> tuple[Parsed | None, list[Finding]]:
    """Parse a linted document. Whatever the parser complains about is a finding.

    Args:
        document: It has no findings.
        names: What users write for its operations, by their ids.
    """
    config = Config.from_sources(
        ConfigFile(literal_enums=True, post_hooks=[]),
        MetaType("none"),
        document_source=Path(document.name),
        file_encoding="utf-8",
        overwrite=False,
        output_path=None,
    )
    handed = normalise(document)
    data = GeneratorData.from_dict(handed.data, config=config)
    if isinstance(data, GeneratorError):
        return None, [_finding(data, handed)]
    errors = [*data.errors]
    for collection in data.endpoint_collections_by_tag.values():
        errors.extend(collection.parse_errors)
    if errors:
        return None, sorted({_finding(error, handed) for error in errors})
    endpoints = {str(e.name): e for tag in data.endpoint_collections_by_tag.values() for e in tag.endpoints}
    models = {str(model.class_info.name): model for model in data.models}
    wires = {name: wire for wire, name in handed.properties.items()}
    return Parsed(
        document=document,
        operations=tuple(_operations(document, handed, endpoints, names)),
        required={
            name: frozenset(wires[each] for each in _required(models[_class_name(name, config)]))
            for name, schema in document.schemas.items()
            if component_kind(schema) == "model"
        },
    ), []


def _class_name(component: str, config: Config) -> str:
    return str(Class.from_string(string=component, config=config).name)


def _required(model: ModelProperty) -> Iterator[str]:
    return (str(prop.name.get_untrusted_value()) for prop in model.required_properties or ())


def _operations(
    document: Document, handed: Normalised, endpoints: dict[str, Endpoint], names: Mapping[str, str]
) -> Iterator[ParsedOperation]:
    neutral = {place: name for name, place in handed.operations.items()}
    for path, raw_item in as_object(document.data.get("paths")).items():
        item = document.deref(raw_item)
        for method in (key for key in item if key in METHODS):
            operation = as_object(item[method])
            yield ParsedOperation(
                endpoint=endpoints[neutral[path, method]],
                path=path,
                method=method.upper(),
                raw=operation,
                parameters=parameters_of(document, item, operation),
                name=names.get(str(operation["operationId"]), str(operation["operationId"])),
            )


def _finding(error: GeneratorError, handed: Normalised) -> Finding:
    text = f"{error.header} {error.detail or ''}"
    place = ""
    if match := _OPERATION.search(text):
        place = pointer("paths", handed.paths.get(match[2], match[2]), match[1].lower())
    elif match := _SCHEMA.search(text) or _REMOVED.search(text):
        place = match[1]
    detail = " ".join(_OBJECT.sub("", error.detail or error.header).split())
    return Finding(place, f"The parser refuses this: {detail.rstrip('.')}.")
