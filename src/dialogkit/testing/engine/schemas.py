"""JSON Schema validation against a document, with the platform's wording of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend  # pyright: ignore[reportUnknownVariableType] - its stubs leave it untyped
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from dialogkit.testing.engine.document import ROOT, Document, Json, is_array, is_object

_STRICT_FORMATS: Final = FormatChecker(formats=["date-time", "date"])
_FORMATS: Final = FormatChecker(formats=["date"])


@_FORMATS.checks("date-time")
def _is_moment(value: object) -> bool:
    """Say whether a text is a moment in ISO 8601, which a lone date is, too; what is no text is not looked at."""
    return any(_STRICT_FORMATS.conforms(value, each) for each in ("date-time", "date"))


_MISSING: Final = {"required", "x-require-one-of", "x-require-together"}
_TYPES: Final = {
    "string": "a string",
    "integer": "an integer number",
    "number": "a number",
    "boolean": "a boolean value",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_WORDINGS: Final = {
    "type": "must be {limit}",
    "enum": "must be one of the following values: {limit}",
    "const": "must be {limit}",
    "minimum": "must not be less than {limit}",
    "maximum": "must not be greater than {limit}",
    "minLength": "must be longer than or equal to {limit} characters",
    "maxLength": "must be shorter than or equal to {limit} characters",
    "minItems": "must contain at least {limit} elements",
    "maxItems": "must contain at most {limit} elements",
    "pattern": "must match {limit}",
    "format": "must be a valid {limit}",
    "oneOf": "has none of the forms that are accepted",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a value."""

    text: str
    missing: bool
    """Whether something required is absent, rather than present and wrong."""


def _required(_: Any, names: list[str], instance: Any, schema: Json) -> Iterator[ValidationError]:
    if is_object(instance):
        properties: Mapping[str, Any] = schema.get("properties", {})
        for name in names:
            others: list[str] = properties.get(name, {}).get("x-also-known-as", [])
            if instance.keys().isdisjoint([name, *others]):
                yield ValidationError("should not be empty", path=[name])


def _require_one_of(_: Any, groups: list[list[str]], instance: Any, __: Any) -> Iterator[ValidationError]:
    if is_object(instance):
        for group in groups:
            if not any(name in instance for name in group):
                yield ValidationError(f"one of {', '.join(group)} should not be empty")


def _require_together(_: Any, groups: list[list[str]], instance: Any, __: Any) -> Iterator[ValidationError]:
    if is_object(instance):
        for group in groups:
            given = [name for name in group if name in instance]
            if given and len(given) < len(group):
                yield ValidationError(f"{', '.join(group)} must be given together")


_extend = cast("Any", extend)
_Validator: Final[Any] = _extend(
    Draft202012Validator,
    {
        "required": _required,
        "oneOf": Draft202012Validator.VALIDATORS["anyOf"],  # an integer is a number, too, and fits a union of both
        "x-require-one-of": _require_one_of,
        "x-require-together": _require_together,
    },
)


class Schemas:
    """Validates values against schemas of one document."""

    def __init__(self, document: Document) -> None:
        self._registry = Registry[Any]().with_resource(ROOT, DRAFT202012.create_resource(document.raw))
        self._document = document
        self._validators: dict[int, tuple[Json, Any]] = {}

    def problems(self, schema: Json, value: Any) -> list[Problem]:
        """List what is wrong with a value; an empty list means that it conforms."""
        member, problem = self._member(schema, value)
        if problem:
            return [problem]
        errors: Iterator[ValidationError] = self._validator(member).iter_errors(value)
        return [_problem(error) for error in errors]

    def strangers(self, schema: Json, value: Any, path: str = "") -> Iterator[str]:
        """Yield the properties of a value that its schema does not know, as dotted paths.

        An object whose schema names no properties, or allows others, has none.
        """
        if is_array(value):
            items: Json = self._document.resolve(schema).get("items", {})
            for index, each in enumerate(value if items else ()):
                yield from self.strangers(items, each, f"{path}{index}.")
        elif is_object(value) and (known := self._known(schema, value)) is not None:
            for name, each in value.items():
                if name in known:
                    yield from self.strangers(known[name], each, f"{path}{name}.")
                else:
                    yield path + name

    def _known(self, schema: Json, value: Json) -> Json | None:
        """Return the properties that an object may have, with their schemas; None if it may have any."""
        resolved = self._document.resolve(self._member(schema, value)[0])
        if resolved.get("additionalProperties", False) is not False:
            return None
        known: Json = dict(resolved.get("properties", {}))
        members = [*resolved.get("allOf", ()), *self._fitting(resolved, value)]
        for member in members:
            more = self._known(member, value)
            if more is None:
                return None
            known |= more
        return known if known or members else None

    def _fitting(self, schema: Json, value: Json) -> list[Json]:
        """Return the members of an undiscriminated union that a value conforms to; all of them if it does to none."""
        members: list[Json] = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
        return [each for each in members if not self.problems(each, value)] or members

    def _validator(self, schema: Json) -> Any:
        known = self._validators.get(id(schema))
        if known is None:
            validator = _Validator(schema, registry=self._registry, format_checker=_FORMATS)
            known = self._validators[id(schema)] = (schema, validator)  # keeping the schema keeps its id from another
        return known[1]

    def _member(self, schema: Json, value: Any) -> tuple[Json, Problem | None]:
        """Choose the member of a discriminated union by its tag, so that what is wrong with it can be said."""
        resolved = self._document.resolve(schema)
        discriminator: Mapping[str, Any] = resolved.get("discriminator", {})
        if not discriminator or not is_object(value):
            return schema, None
        tag: str = discriminator["propertyName"]
        mapping: dict[str, str] = discriminator["mapping"]
        given = value.get(tag)
        if given is None:
            return schema, Problem(f"{tag} should not be empty", missing=True)
        if not isinstance(given, str) or given not in mapping:
            return schema, Problem(f"{tag} must be one of the following values: {', '.join(mapping)}", missing=False)
        pointer = mapping[given]
        return _reference(pointer if pointer.startswith(ROOT) else ROOT + pointer), None


@cache
def _reference(pointer: str) -> Json:
    return {"$ref": pointer}


def _problem(error: ValidationError) -> Problem:
    path = ".".join(str(step) for step in error.absolute_path)
    text = _wording(error)
    return Problem(f"{path} {text}" if path else text, missing=error.validator in _MISSING)


def _wording(error: ValidationError) -> str:
    rule, limit = error.validator, cast("Any", error.validator_value)
    if rule == "type":
        kinds: list[str] = [limit] if isinstance(limit, str) else limit
        limit = " or ".join(_TYPES[kind] for kind in kinds)
    elif rule == "enum":
        limit = ", ".join(map(str, limit))
    template = _WORDINGS.get(str(rule))
    return error.message if template is None else template.format(limit=limit)
