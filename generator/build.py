"""Turns a parsed document into the package that is to be generated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from generator.document import Document, JsonObject, as_list, as_object
from generator.fields import member_fields, parameter_field, property_field, union_of
from generator.model import (
    ANY,
    Alias,
    Component,
    Constant,
    Enumeration,
    Event,
    Field,
    Model,
    Module,
    Named,
    Operation,
    Package,
    Plain,
    Side,
    Union,
)
from generator.naming import class_name, has_camel_alias
from generator.operations import build_operation, needs_path_model
from generator.order import definition_order
from generator.parse import Parsed, ParsedOperation
from generator.schemas import (
    SCHEMA_PREFIX,
    Usage,
    component_kind,
    merged_properties,
    type_of,
    usage_of,
)


def build(parsed: Parsed) -> Package:
    """Build the package of a parsed document."""
    document = parsed.document
    usage = usage_of(document)
    operations = [build_operation(document, operation) for operation in parsed.operations]
    errors = _common_errors(operations)
    operations = [
        replace(operation, errors=tuple(error for error in operation.errors if error not in errors))
        for operation in operations
    ]
    components: dict[str, Component] = {}
    for name in sorted(usage.request | usage.response):
        for component in _component(parsed, usage, name):
            components[component.name] = component
    for operation in parsed.operations:
        for derived in _derived(document, operation):
            components[derived.name] = derived
    ordered, early = definition_order(components)
    descriptions = {tag["name"]: str(tag.get("description", "")) for tag in as_list(document.data.get("tags"))}
    tags = dict.fromkeys(operation.tag for operation in operations)
    return Package(
        modules=tuple(
            Module(
                name=tag,
                description=descriptions.get(tag, ""),
                operations=tuple(operation for operation in operations if operation.tag == tag),
            )
            for tag in tags
        ),
        errors=errors,
        components=ordered,
        events=tuple(_events(document)),
        events_description=descriptions.get("webhooks", ""),
        early=early,
    )


def _common_errors(operations: list[Operation]) -> tuple[tuple[int, str], ...]:
    first = operations[0].errors if operations else ()
    return tuple(error for error in first if all(error in operation.errors for operation in operations))


def _component(parsed: Parsed, usage: Usage, name: str) -> Iterator[Component]:
    document = parsed.document
    schema = as_object(document.schemas[name])
    description = str(schema.get("description", ""))
    match component_kind(schema):
        case "enum":
            yield Enumeration(name=name, description=description, values=tuple(schema["enum"]))
        case "union":
            union = union_of(document, name, schema)
            yield union
            yield _open_member(document, usage, union)
        case "model":
            yield _model(parsed, usage, name, schema)
        case "alias":
            yield Alias(name=name, description=description, type=type_of(schema), side=usage.side(name))


def _model(parsed: Parsed, usage: Usage, name: str, schema: JsonObject) -> Model:
    document = parsed.document
    required = parsed.required[name]
    fields = tuple(
        property_field(document, wire, raw, required=wire in required)
        for wire, raw in merged_properties(document, schema).items()
    )
    names = {field.wire: field.python for field in fields}
    return Model(
        name=name,
        description=str(schema.get("description", "")),
        fields=fields,
        base=_base(fields, usage.side(name)),
        side=usage.side(name),
        constants=tuple(field.python for field in fields if isinstance(field.type, Constant) and field.required),
        one_of=_groups(schema, "x-require-one-of", names),
        together=_groups(schema, "x-require-together", names),
    )


def _base(fields: tuple[Field, ...], side: Side) -> Literal["Model", "SnakeModel", "Input", "SnakeInput"]:
    snake = all(field.python == field.wire for field in fields) and not all(
        has_camel_alias(field.python, field.wire) for field in fields
    )
    if side == "request":
        return "SnakeInput" if snake else "Input"
    return "SnakeModel" if snake else "Model"


def _groups(holder: JsonObject, key: str, names: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[name] for name in group) for group in as_list(holder.get(key)))


def _open_member(document: Document, usage: Usage, union: Union) -> Model:
    fields: list[Field] = []
    for wire, found in member_fields(document, union):
        if wire == union.tag.wire:
            fields.append(replace(found[0], type=Plain("str"), required=True))
        elif len(found) == len(union.members):
            kind = found[0].type if all(field.type == found[0].type for field in found) else ANY
            words = {field.description for field in found}
            description = words.pop() if len(words) == 1 else ""
            fields.append(replace(found[0], type=kind, required=False, description=description))
    return Model(
        name=union.open_member,
        description=f"A member of `{union.name}` whose `{union.tag.python}` is newer than this package.",
        fields=tuple(fields),
        base=_base(tuple(fields), usage.side(union.name)),
        side=usage.side(union.name),
    )


_ARGUMENT_MODELS = {"path": ("Path", "path"), "query": ("Query", "query"), "header": ("Headers", "headers")}


def _argument_models(document: Document, parsed: ParsedOperation) -> Iterator[Model]:
    for place, (suffix, word) in _ARGUMENT_MODELS.items():
        found = parsed.parameters_in(place)
        if found and (place != "path" or needs_path_model(document, parsed)):
            fields = tuple(parameter_field(document, raw) for raw in found)
            if place == "path":  # which is filled by Python names
                fields = tuple(replace(field, wire=field.python) for field in fields)
            names = {field.wire: field.python for field in fields}
            yield Model(
                name=class_name(parsed.id) + suffix,
                description=f"What `{document.called(parsed.name)}` sends in its {word}.",
                fields=fields,
                base="Arguments",
                side="request",
                one_of=_groups(parsed.raw, "x-require-one-of", names) if place == "query" else (),
                together=_groups(parsed.raw, "x-require-together", names) if place == "query" else (),
            )


def _derived(document: Document, parsed: ParsedOperation) -> Iterator[Component]:
    """The components that an operation needs and the document does not name."""
    yield from _argument_models(document, parsed)
    yield from _body_alias(document, parsed)


def _body_alias(document: Document, parsed: ParsedOperation) -> Iterator[Alias]:
    """A name for a body that is no component, so that its limits stand with the others."""
    content = as_object(document.deref(parsed.raw.get("requestBody")).get("content"))
    for media in content.values():
        body = type_of(as_object(media).get("schema"))
        if not isinstance(body, Named):
            description = f"What `{document.called(parsed.name)}` sends."
            yield Alias(name=f"{class_name(parsed.id)}Body", description=description, type=body, side="request")


def _events(document: Document) -> Iterator[Event]:
    for name, item in as_object(document.data.get("webhooks")).items():
        body = document.deref(as_object(as_object(item).get("post")).get("requestBody"))
        for media in as_object(body.get("content")).values():
            reference = str(as_object(as_object(media).get("schema")).get("$ref", ""))
            yield Event(name=str(name), model=reference.removeprefix(SCHEMA_PREFIX))
