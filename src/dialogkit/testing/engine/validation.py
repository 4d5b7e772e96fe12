"""From the bytes of a request to values that conform to the document, or a refusal.

The rule for refusals: 400 when the request cannot be read or lacks something that is required, wherever it is
nested; 422 when everything required is there but a value is wrong. A request with both kinds of fault gets 400.
Properties and parameters that the document does not know are refused with 422, or let through where the platform does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast
from urllib.parse import parse_qsl

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from dialogkit.testing.engine.document import Document, Json, Operation, Parameter
from dialogkit.testing.engine.refusals import missing, strangers, wrong
from dialogkit.testing.engine.registry import UploadedFile
from dialogkit.testing.engine.schemas import Problem, Schemas

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}")


@dataclass(frozen=True)
class Arguments:
    """The values of a request, converted to the types that the document gives them."""

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    files: Sequence[UploadedFile]


class RequestReader:
    """Reads and validates requests.

    Args:
        document: Says what a request may be.
        schemas: Of that document.
        refuse_strangers: Whether what the document does not know is refused, in queries and in JSON.

    """

    def __init__(self, document: Document, schemas: Schemas, *, refuse_strangers: bool = False) -> None:
        self._refuse_strangers = refuse_strangers
        self._document = document
        self._schemas = schemas
        self._parameter_schemas: dict[tuple[str, str], Json] = {}

    async def read(self, operation: Operation, request: Request, path: Mapping[str, str]) -> Arguments:
        """Return the arguments of a request, or raise the `Refusal` that it deserves."""
        problems: list[Problem] = []
        query = _pairs_to_lists(_without_brackets(operation, _decode_query(request)))
        given = {
            "path": {name: [value] for name, value in path.items()},
            "query": query,
            "header": {name.lower(): request.headers.getlist(name) for name in request.headers},
        }
        values = {place: self._parameters(operation, place, pairs) for place, pairs in given.items()}
        for place, found in values.items():
            problems += self._schemas.problems(self._schema_of(operation, place), found)
        body, files = await self._body(operation, request)
        if body is not None:
            problems += self._schemas.problems(_media_schema(operation), body)
        _refuse(problems)
        if self._refuse_strangers and (unknown := self._strangers(operation, query, body)):
            raise strangers(*unknown)
        return Arguments(path=cast("dict[str, str]", values["path"]), query=values["query"], body=body, files=files)

    def _strangers(self, operation: Operation, query: Mapping[str, Any], body: Any) -> list[str]:
        known = {each.name for each in operation.parameters if each.place == "query"}
        found = [name for name in query if name not in known]
        return found + ([*self._schemas.strangers(operation.body[_JSON], body)] if _JSON in operation.body else [])

    def _parameters(self, operation: Operation, place: str, given: Mapping[str, list[str]]) -> Json:
        values: Json = {}
        for each in operation.parameters:
            name = each.name.lower() if each.place == "header" else each.name
            if each.place == place and name in given:
                values[each.name] = self._coerce_parameter(each, given[name])
        return values

    def _schema_of(self, operation: Operation, place: str) -> Json:
        key = (operation.id, place)
        if key not in self._parameter_schemas:
            chosen = [each for each in operation.parameters if each.place == place]
            schema: Json = {
                "type": "object",
                "properties": {each.name: each.schema for each in chosen},
                "required": [each.name for each in chosen if each.required],
            }
            rules = {key: value for key, value in operation.extensions.items() if key.startswith("x-require-")}
            own = {each.name for each in chosen}
            for rule, groups in rules.items():
                schema[rule] = [group for group in groups if own.issuperset(group)]
            self._parameter_schemas[key] = schema
        return self._parameter_schemas[key]

    def _coerce_parameter(self, parameter: Parameter, texts: list[str]) -> Any:
        if not parameter.explode and len(texts) == 1 and self._takes(parameter.schema, "array"):
            texts = texts[0].split(",") if texts[0] else []
            return [self.coerce(self._items(parameter.schema), text) for text in texts]
        return self.coerce_all(parameter.schema, texts)

    def coerce_all(self, schema: Json, texts: list[str]) -> Any:
        """Convert the values of one repeated key. What does not fit stays text, for the schema to complain of."""
        resolved = self._document.resolve(schema)
        if "oneOf" in resolved:
            several = len(texts) > 1
            member = next((each for each in resolved["oneOf"] if self._takes(each, "array") == several), None)
            return texts if member is None else self.coerce_all(member, texts)
        if self._takes(resolved, "array"):
            return [self.coerce(resolved["items"], text) for text in texts]
        return self.coerce(resolved, texts[0]) if len(texts) == 1 else texts

    def coerce(self, schema: Json, text: str) -> Any:
        """Convert one text to the scalar type that a schema asks for, or leave it as it is."""
        resolved = self._document.resolve(schema)
        for member in resolved.get("oneOf", ()):
            if not isinstance(value := self.coerce(member, text), str):
                return value
        kind = resolved.get("type")
        if kind == "integer" and _INTEGER.fullmatch(text):
            return int(text)
        if kind == "number":
            try:
                number = float(text)
            except ValueError:
                return text
            return number if math.isfinite(number) else text
        if kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        return text

    def _takes(self, schema: Json, kind: str) -> bool:
        return self._document.resolve(schema).get("type") == kind

    def _items(self, schema: Json) -> Json:
        return cast("Json", self._document.resolve(schema)["items"])

    async def _body(self, operation: Operation, request: Request) -> tuple[Any, list[UploadedFile]]:
        if not operation.body:
            return None, []
        content = await request.body()
        if not content and not operation.body_required:
            return None, []
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        (expected,) = operation.body
        if media != expected:
            raise missing(f"the body must be {expected}, not {media or 'without a Content-Type'}")
        if expected == _JSON:
            return _read_json(content), []
        schema = self._document.resolve(operation.body[expected])
        if expected == _FORM:
            return self._fields(schema, _pairs_to_lists(_parse_pairs(content))), []
        return await self._multipart(schema, request)

    async def _multipart(self, schema: Json, request: Request) -> tuple[Json, list[UploadedFile]]:
        fields: dict[str, list[str]] = {}
        files: list[UploadedFile] = []
        try:
            async with request.form() as form:
                for name, value in form.multi_items():
                    if isinstance(value, UploadFile):
                        kind = value.content_type or ""
                        files.append(UploadedFile(value.filename or "", kind, await value.read()))
                        fields.setdefault(name, []).append("")
                    else:
                        fields.setdefault(name, []).append(value)
        except (MultiPartException, ValueError) as error:  # python-multipart's own errors are ValueErrors
            raise missing(f"the multipart body cannot be read: {error}") from error
        return self._fields(schema, fields), files

    def _fields(self, schema: Json, given: Mapping[str, list[str]]) -> Json:
        properties: Json = schema.get("properties", {})
        return {
            name: self.coerce_all(properties[name], texts) if name in properties else texts[-1]
            for name, texts in given.items()
        }


def _media_schema(operation: Operation) -> Json:
    return next(iter(operation.body.values()))


def _refuse(problems: Sequence[Problem]) -> None:
    if absent := [problem.text for problem in problems if problem.missing]:
        raise missing(*absent)
    if problems:
        raise wrong(*(problem.text for problem in problems))


def _decode_query(request: Request) -> list[tuple[str, str]]:
    return _parse_pairs(cast("bytes", request.scope["query_string"]))


def _without_brackets(operation: Operation, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a query, where lists may be written as `name[]=1&name[]=2`: the platform's own clients do."""
    known = {each.name for each in operation.parameters if each.place == "query"}
    for name, value in pairs:
        bare = name.removesuffix("[]")
        yield (bare if bare in known else name), value


def _parse_pairs(content: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(content.decode("utf-8"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise missing(f"the parameters cannot be read: {error}") from error


def _pairs_to_lists(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _read_json(content: bytes) -> Any:
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate can be read, but never be sent back
    except (ValueError, RecursionError) as error:
        raise missing(f"the body is no JSON: {error}") from error
    if value is None:
        raise missing("the body should not be empty")
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
