from __future__ import annotations

from typing import Any

import pytest

from dialogkit.testing.engine.document import ROOT, Document
from dialogkit.testing.engine.schemas import Schemas

RAW: dict[str, Any] = {
    "paths": {},
    "components": {
        "schemas": {
            "Cat": {
                "type": "object",
                "required": ["type", "lives"],
                "properties": {"type": {"const": "cat"}, "lives": {"type": "integer", "minimum": 1, "maximum": 9}},
            },
            "Dog": {"type": "object", "required": ["type"], "properties": {"type": {"const": "dog"}}},
            "Pet": {
                "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
                "discriminator": {
                    "propertyName": "type",
                    "mapping": {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"},
                },
            },
            "Home": {
                "type": "object",
                "required": ["pets"],
                "properties": {"pets": {"type": "array", "items": {"$ref": "#/components/schemas/Cat"}, "minItems": 1}},
            },
        }
    },
}


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas(Document(RAW))


def component(name: str) -> dict[str, Any]:
    return {"$ref": f"{ROOT}#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("name", "value", "texts", "missing"),
    [
        ("Cat", {"type": "cat", "lives": 9}, [], []),
        ("Cat", {"type": "cat", "lives": 10}, ["lives must not be greater than 9"], [False]),
        ("Cat", {"type": "cat", "lives": True}, ["lives must be an integer number"], [False]),
        ("Cat", {"type": "cat"}, ["lives should not be empty"], [True]),
        ("Cat", "cat", ["must be an object"], [False]),
        ("Pet", {"type": "dog"}, [], []),
        ("Pet", {"lives": 1}, ["type should not be empty"], [True]),
        ("Pet", {"type": "cow"}, ["type must be one of the following values: cat, dog"], [False]),
        ("Pet", {"type": ["cat"]}, ["type must be one of the following values: cat, dog"], [False]),
        ("Pet", {"type": "cat", "lives": 0}, ["lives must not be less than 1"], [False]),
        ("Home", {"pets": [{"type": "cat"}]}, ["pets.0.lives should not be empty"], [True]),
        ("Home", {"pets": []}, ["pets must contain at least 1 elements"], [False]),
    ],
)
def test_problems(schemas: Schemas, name: str, value: Any, texts: list[str], missing: list[bool]) -> None:
    problems = schemas.problems(component(name), value)
    assert [problem.text for problem in problems] == texts
    assert [problem.missing for problem in problems] == missing


@pytest.mark.parametrize(
    ("rule", "value", "text"),
    [
        ({"x-require-one-of": [["a", "b"]]}, {"c": 1}, "one of a, b should not be empty"),
        ({"x-require-one-of": [["a", "b"]]}, {"b": 1}, None),
        ({"x-require-together": [["a", "b"]]}, {"b": 1}, "a, b must be given together"),
        ({"x-require-together": [["a", "b"]]}, {"a": 1, "b": 1}, None),
        ({"x-require-together": [["a", "b"]]}, {}, None),
    ],
)
def test_requirements_of_our_own_count_as_missing(
    schemas: Schemas, rule: dict[str, Any], value: Any, text: str | None
) -> None:
    problems = schemas.problems(rule, value)
    assert [(problem.text, problem.missing) for problem in problems] == ([(text, True)] if text else [])


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ({"type": ["string", "null"]}, 1, "must be a string or null"),
        ({"enum": ["a", "b"]}, "c", "must be one of the following values: a, b"),
        ({"type": "string", "maxLength": 1}, "ab", "must be shorter than or equal to 1 characters"),
        ({"type": "string", "pattern": "^a"}, "b", "must match ^a"),
        ({"type": "string", "format": "date-time"}, "yesterday", "must be a valid date-time"),
        ({"type": "integer", "format": "unix-ms"}, 5, None),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, [], "has none of the forms that are accepted"),
        ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, "{'a': 1, 'b': 2} has too many properties"),
    ],
)
def test_wordings(schemas: Schemas, schema: dict[str, Any], value: Any, text: str | None) -> None:
    assert [problem.text for problem in schemas.problems(schema, value)] == ([text] if text else [])
