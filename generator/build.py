"""Turns a parsed document into the package that is to be generated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, cast

from openapi_python_client.parser.bodies import Body

from generator.document import Document, JsonObject, as_list, as_object
from generator.model import (
    ANY,
    Alias,
    Argument,
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
    Type,
    Union,
)
from generator.naming import class_name, has_camel_alias, python_name
from generator.order import definition_order
from generator.parse import Parsed, ParsedOperation
from generator.schemas import (
    SCHEMA_PREFIX,
    Usage,
    component_kind,
    is_secret,
    merged_properties,
    one_of,
    required_properties,
    success,
    type_of,
    unwrapped_schema,
    usage_of,
)

_DEFAULT_RETRY = {"GET": "safe", "HEAD": "safe", "PUT": "idempotent", "DELETE": "idempotent"}


def build(parsed: Parsed) -> Package:
    """Build the package of a parsed document."""
    document = parsed.document
    usage = usage_of(document)
    operations = [_Builder(document, operation).build() for operation in parsed.operations]
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
        components=ordered,
        events=tuple(_events(document)),
        events_description=descriptions.get("webhooks", ""),
        early=early,
    )


def property_field(document: Document, name: str, schema: JsonObject, *, required: bool) -> Field:
    """Make a field of an object's property."""
    target = document.deref(schema)
    return Field(
        wire=name,
        python=str(schema.get("x-python-name", python_name(name))),
        type=type_of(schema),
        required=required,
        description=str(schema.get("description", target.get("description", ""))),
        schema=target | schema,
        secret=is_secret(target),
        from_client="x-from-client" in schema,
        deprecated=schema.get("deprecated") is True,
    )


def parameter_field(document: Document, parameter: JsonObject, *, required: bool) -> Field:
    """Make a field of a parameter."""
    schema = as_object(parameter.get("schema"))
    return Field(
        wire=str(parameter["name"]),
        python=str(parameter.get("x-python-name", python_name(str(parameter["name"])))),
        type=type_of(schema),
        required=required,
        description=str(parameter.get("description", "")),
        schema=document.deref(schema) | schema,
        comma_separated=parameter.get("in") == "query" and parameter.get("explode") is False,
        from_client="x-from-client" in parameter,
        deprecated=parameter.get("deprecated") is True,
    )


def _component(parsed: Parsed, usage: Usage, name: str) -> Iterator[Component]:
    document = parsed.document
    schema = as_object(document.schemas[name])
    description = str(schema.get("description", ""))
    match component_kind(schema):
        case "enum":
            yield Enumeration(name=name, description=description, values=tuple(schema["enum"]))
        case "union":
            union = _union(document, name, schema)
            yield union
            yield _open_member(document, usage, union)
        case "model":
            yield _model(parsed, usage, name, schema)
        case "alias":
            yield Alias(name=name, description=description, type=type_of(schema), side=usage.side(name))


def _model(parsed: Parsed, usage: Usage, name: str, schema: JsonObject) -> Model:
    document = parsed.document
    required = {str(prop.name.get_untrusted_value()) for prop in parsed.models[name].required_properties or ()}
    fields = tuple(
        property_field(document, wire, raw, required=wire in required)
        for wire, raw in merged_properties(document, schema).items()
    )
    names = {field.wire: field.python for field in fields}
    return Model(
        name=name,
        description=str(schema.get("description", "")),
        fields=fields,
        base=_base(fields),
        side=usage.side(name),
        constants=tuple(field.python for field in fields if isinstance(field.type, Constant)),
        one_of=_groups(schema, "x-require-one-of", names),
        together=_groups(schema, "x-require-together", names),
    )


def _base(fields: tuple[Field, ...]) -> Literal["Model", "SnakeModel"]:
    if all(field.python == field.wire for field in fields) and not all(
        has_camel_alias(field.python, field.wire) for field in fields
    ):
        return "SnakeModel"
    return "Model"


def _groups(holder: JsonObject, key: str, names: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names[name] for name in group) for group in as_list(holder.get(key)))


def _union(document: Document, name: str, schema: JsonObject) -> Union:
    discriminator = as_object(schema["discriminator"])
    members = tuple(
        (str(tag), str(reference).removeprefix(SCHEMA_PREFIX))
        for tag, reference in as_object(discriminator.get("mapping")).items()
    )
    wire = str(discriminator["propertyName"])
    first = merged_properties(document, as_object(document.schemas[members[0][1]]))
    return Union(
        name=name,
        description=str(schema.get("description", "")),
        tag=property_field(document, wire, first[wire], required=True),
        members=members,
    )


def _member_fields(document: Document, union: Union) -> Iterator[tuple[str, list[Field]]]:
    """Every property of a union's members, with the fields it is in those members that have it."""
    found: dict[str, list[Field]] = {}
    for _, member in union.members:
        schema = as_object(document.schemas[member])
        required = required_properties(document, schema)
        for wire, raw in merged_properties(document, schema).items():
            found.setdefault(wire, []).append(property_field(document, wire, raw, required=wire in required))
    yield from found.items()


def _open_member(document: Document, usage: Usage, union: Union) -> Model:
    fields: list[Field] = []
    for wire, found in _member_fields(document, union):
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
        base=_base(tuple(fields)),
        side=usage.side(union.name),
    )


def _union_arguments(document: Document, name: str, schema: JsonObject) -> Iterator[Field]:
    """The arguments for a body that is one of several objects: the properties of all of them."""
    union = _union(document, name, schema)
    for wire, found in _member_fields(document, union):
        required = len(found) == len(union.members) and all(field.required for field in found)
        # The tag as it is in the members is one constant each; together they are an open set of known values.
        kind = one_of(*(field.type for field in found), *([Plain("str")] if wire == union.tag.wire else []))
        words = list(dict.fromkeys(field.description for field in found))
        schema = found[0].schema if len(words) == 1 else {}
        field = replace(found[0], type=kind, required=required, schema=schema, description=" Or: ".join(words))
        yield field


def _argument_models(document: Document, parsed: ParsedOperation) -> Iterator[Model]:
    properties = {
        "query": (parsed.endpoint.query_parameters, "Query"),
        "header": (parsed.endpoint.header_parameters, "Headers"),
    }
    for place, (found, suffix) in properties.items():
        if found:
            required = {str(prop.name.get_untrusted_value()): prop.required for prop in found}
            fields = tuple(
                parameter_field(document, raw, required=required[name])
                for (where, name), raw in parsed.parameters.items()
                if where == place
            )
            names = {field.wire: field.python for field in fields}
            yield Model(
                name=class_name(parsed.id) + suffix,
                description=f"What `{parsed.id}` sends in its {'query' if place == 'query' else 'headers'}.",
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
            description = f"What `{parsed.id}` sends."
            yield Alias(name=f"{class_name(parsed.id)}Body", description=description, type=body, side="request")


class _Builder:
    """Builds one operation."""

    def __init__(self, document: Document, parsed: ParsedOperation) -> None:
        self.document = document
        self.parsed = parsed
        self.raw = parsed.raw
        self.body: Body | None = parsed.endpoint.bodies[0] if parsed.endpoint.bodies else None

    def build(self) -> Operation:
        raw, endpoint = self.raw, self.parsed.endpoint
        result, answer = self._result()
        security = as_list(raw.get("security", self.document.data.get("security", [])))
        _, response = success(self.document, raw)
        scopes = [scope for entry in security for granted in as_object(entry).values() for scope in granted]
        stem = class_name(self.parsed.id)
        return Operation(
            id=self.parsed.id,
            method=self.parsed.method,
            path=self.parsed.path,
            tag=str(raw["tags"][0]),
            summary=str(raw["summary"]),
            description=str(raw.get("description", "")),
            arguments=tuple(self._arguments()),
            result=result,
            answer=answer,
            result_remark=str(response.get("description", "")),
            body=self._body(stem) if self.body else None,
            encoding=self._encoding(),
            query_model=f"{stem}Query" if endpoint.query_parameters else None,
            header_model=f"{stem}Headers" if endpoint.header_parameters else None,
            retry=raw.get("x-retry", _DEFAULT_RETRY.get(self.parsed.method, "never-after-sent")),
            unwrap=raw.get("x-unwrap"),
            items=raw.get("x-items"),
            single_as_list=raw.get("x-single-as-list") is True,
            authenticated=bool(security),
            scopes=tuple(dict.fromkeys(scopes)),
            errors=tuple(self._errors()),
            source=self._source(),
            deprecated=raw.get("deprecated") is True,
        )

    def _arguments(self) -> Iterator[Argument]:
        found = [*self._parameters(), *self._body_arguments()]
        yield from (argument for argument in found if argument.positional)
        yield from (argument for argument in found if not argument.positional and not argument.field.from_client)
        yield from (argument for argument in found if argument.field.from_client)

    def _parameters(self) -> Iterator[Argument]:
        endpoint = self.parsed.endpoint
        by_place = (
            ("path", endpoint.path_parameters),
            ("query", endpoint.query_parameters),
            ("header", endpoint.header_parameters),
        )
        for place, properties in by_place:
            required = {str(prop.name.get_untrusted_value()): prop.required for prop in properties}
            names = [name for where, name in self.parsed.parameters if where == place]
            for name in required if place == "path" else names:
                raw = self.parsed.parameters[place, name]
                field = parameter_field(self.document, raw, required=required[name])
                where = cast(Literal["path", "query", "header"], place)
                yield Argument(field=field, place=where, positional=place == "path" and not field.from_client)

    def _body_schema(self) -> JsonObject:
        media = as_object(self.document.deref(self.raw["requestBody"])["content"])
        return as_object(as_object(next(iter(media.values()))).get("schema"))

    def _body(self, stem: str) -> Named:
        body = type_of(self._body_schema())
        return body if isinstance(body, Named) else Named(f"{stem}Body")

    def _body_arguments(self) -> Iterator[Argument]:
        if self.body is None:
            return
        schema = self._body_schema()
        target = self.document.deref(schema)
        name = str(schema.get("$ref", "")).removeprefix(SCHEMA_PREFIX)
        kind = component_kind(target)
        if kind == "union":
            for field in _union_arguments(self.document, name, target):
                yield Argument(field=field, place="body")
        elif kind == "model":
            required = required_properties(self.document, target)
            for wire, raw in merged_properties(self.document, target).items():
                yield Argument(field=property_field(self.document, wire, raw, required=wire in required), place="body")
        else:
            field = property_field(self.document, "body", schema, required=self.body.prop.required)
            yield Argument(field=field, place="body", whole_body=True)

    def _encoding(self) -> Literal["json", "form", "multipart"]:
        if self.body is None:
            return "json"
        match self.body.content_type.get_untrusted_value():
            case "application/x-www-form-urlencoded":
                return "form"
            case "multipart/form-data":
                return "multipart"
            case _:
                return "json"

    def _result(self) -> tuple[Type | None, Literal["json", "text", "bytes", "none"]]:
        _, response = success(self.document, self.raw)
        content = as_object(response.get("content"))
        if not content or "schema" not in as_object(next(iter(content.values()))):
            return None, "none"
        source = next(iter(self.parsed.endpoint.responses)).source["attribute"]
        if source != "response.json()":
            return None, "text" if source == "response.text" else "bytes"
        schema = as_object(next(iter(content.values())))["schema"]
        return type_of(unwrapped_schema(self.document, schema, self.raw.get("x-unwrap"))), "json"

    def _errors(self) -> Iterator[tuple[int, str]]:
        for status, response in as_object(self.raw.get("responses")).items():
            if status[0] in "45" and status.isdigit():
                yield int(status), str(self.document.deref(response).get("description", ""))

    def _source(self) -> str | None:
        known = as_object(as_object(self.document.data.get("info")).get("x-sources"))
        key = self.raw.get("x-source")
        return None if key is None else str(known.get(key, key))


def _events(document: Document) -> Iterator[Event]:
    for name, item in as_object(document.data.get("webhooks")).items():
        body = document.deref(as_object(as_object(item).get("post")).get("requestBody"))
        for media in as_object(body.get("content")).values():
            reference = str(as_object(as_object(media).get("schema")).get("$ref", ""))
            yield Event(name=str(name), model=reference.removeprefix(SCHEMA_PREFIX))
