"""Builds operations: their arguments, bodies, results and everything that a docstring says about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from openapi_python_client.parser.bodies import Body

from generator.document import Document, JsonObject, as_list, as_object
from generator.fields import member_fields, parameter_field, property_field, union_of
from generator.model import Argument, Field, Named, Operation, Plain, Type
from generator.naming import class_name
from generator.parse import ParsedOperation
from generator.schemas import (
    SCHEMA_PREFIX,
    component_kind,
    merged_properties,
    one_of,
    required_properties,
    success,
    type_of,
    unwrapped_schema,
)

_DEFAULT_RETRY = {"GET": "safe", "HEAD": "safe", "PUT": "idempotent", "DELETE": "idempotent"}


def build_operation(document: Document, parsed: ParsedOperation) -> Operation:
    """Build one operation of a parsed document."""
    return _Builder(document, parsed).build()


class _Builder:
    """Builds one operation."""

    def __init__(self, document: Document, parsed: ParsedOperation) -> None:
        self.document = document
        self.parsed = parsed
        self.raw = parsed.raw
        self.body: Body | None = parsed.endpoint.bodies[0] if parsed.endpoint.bodies else None

    def build(self) -> Operation:
        raw = self.raw
        result, answer = self._result()
        security = as_list(raw.get("security", self.document.data.get("security", [])))
        _, response = success(self.document, raw)
        scopes = [scope for entry in security for granted in as_object(entry).values() for scope in granted]
        stem = class_name(self.parsed.id)
        arguments = tuple(self._arguments())
        return Operation(
            id=self.parsed.id,
            name=self.parsed.name,
            method=self.parsed.method,
            path=self.parsed.path,
            tag=str(raw["tags"][0]),
            summary=str(raw["summary"]),
            description=str(raw.get("description", "")),
            arguments=arguments,
            result=result,
            answer=answer,
            result_remark=str(response.get("description", "")),
            body=self._body(stem) if self.body else None,
            encoding=self._encoding(),
            path_model=f"{stem}Path" if needs_path_model(self.document, self.parsed) else None,
            query_model=f"{stem}Query" if self.parsed.parameters_in("query") else None,
            header_model=f"{stem}Headers" if self.parsed.parameters_in("header") else None,
            retry=raw.get("x-retry", _DEFAULT_RETRY.get(self.parsed.method, "never-after-sent")),
            unwrap=raw.get("x-unwrap"),
            also_wrapped_in=tuple(map(str, as_list(raw.get("x-also-wrapped-in")))),
            items=raw.get("x-items"),
            single_as_list=raw.get("x-single-as-list") is True,
            authenticated=bool(security),
            account=self._account(arguments),
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
        places: tuple[Literal["path", "query", "header"], ...] = ("path", "query", "header")
        for place in places:
            for raw in self.parsed.parameters_in(place):
                field = parameter_field(self.document, raw)
                yield Argument(field=field, place=place, positional=place == "path" and not field.from_client)

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

    def _account(self, arguments: tuple[Argument, ...]) -> tuple[str, str] | None:
        name = as_object(self.document.data.get("info")).get("x-account")
        named = (each for each in arguments if each.field.python == name and each.place != "header")
        return next(((each.place, each.field.python) for each in named), None)

    def _source(self) -> str | None:
        known = as_object(as_object(self.document.data.get("info")).get("x-sources"))
        key = self.raw.get("x-source")
        return None if key is None else str(known.get(key, key))


def needs_path_model(document: Document, parsed: ParsedOperation) -> bool:
    """Say whether something must check what stands in the path: plain strings, as ids are, need nothing."""
    return not all(_is_text(document, parameter_field(document, raw).type) for raw in parsed.parameters_in("path"))


def _is_text(document: Document, kind: Type) -> bool:
    if not isinstance(kind, Named):
        return kind == Plain("str")
    schema = as_object(document.schemas[kind.name])
    if component_kind(schema) == "enum":
        return schema.get("type") == "string"
    return _is_text(document, type_of(schema))


def _union_arguments(document: Document, name: str, schema: JsonObject) -> Iterator[Field]:
    """The arguments for a body that is one of several objects: the properties of all of them."""
    union = union_of(document, name, schema)
    for wire, found in member_fields(document, union):
        required = len(found) == len(union.members) and all(field.required for field in found)
        # The tag as it is in the members is one constant each; together they are an open set of known values.
        kind = one_of(*(field.type for field in found), *([Plain("str")] if wire == union.tag.wire else []))
        words = list(dict.fromkeys(field.description for field in found))
        schema = found[0].schema if len(words) == 1 else {}
        field = replace(found[0], type=kind, required=required, schema=schema, description=" Or: ".join(words))
        yield field
