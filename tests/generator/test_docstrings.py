"""Prose as docstrings: what they say, and that nothing in them breaks the code."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType
from typing import TypeGuard

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.docstrings import WIDTH, limit_sentences, paragraphs, plain, sentence


def doc(module: ModuleType, name: str) -> str:
    return inspect.getdoc(getattr(module, name)) or ""


def test_a_function_says_what_its_arguments_mean_and_may_be(pets: ModuleType) -> None:
    text = doc(pets, "search_pets")
    for line in (
        'name: Part of the name. From 2 to 40 characters. Matches `^[a-z"]+$`.',
        "kinds: Kinds, at most 3 of them.",
        "ids: Ids; the key is repeated. At least 1 each.",
        "limit: Rows per page. From 1 to 100. 20 unless given.",
        "weight: Least weight in kilograms. More than 0.",
        "list: Whether to list only, without a body. `True` unless given.",
        "born_before: Born before; see `born_after`.",
        "zoo_id: The zoo. The client's own unless given.",
        "resume: The cursor of an earlier page: continue after it.",
    ):
        assert f"    {line}\n" in text


def test_a_function_says_what_it_returns_and_raises(pets: ModuleType) -> None:
    text = doc(pets, "search_pets")
    assert "Returns:\n    One page of pets.\n" in text
    assert '    BadRequestError: 400. Something is "wrong".\n' in text
    assert "    RateLimitError: 429. Too many. Wait.\n" in text
    assert "    ServerError: 500. A fault.\n" in text
    assert "Returns:" not in doc(pets, "delete_pet")
    assert "Raises:" not in doc(pets, "delete_pet")


def test_what_any_call_can_end_in_is_said_once(pets: ModuleType) -> None:
    package = importlib.import_module(pets.__package__ or "")
    assert "    InvalidArgumentError: An argument is of the wrong type" in (package.__doc__ or "")
    assert "    DialogkitError: " in (package.__doc__ or "")
    assert "InvalidArgumentError" not in (pets.search_pets.__doc__ or "")


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("search_pets", "`GET /pets/`. Scope: zoo.read. Safe to repeat: it changes nothing. Source: Zoo handbook."),
        ("create_pet", "`POST /pets/`. Scope: zoo.read. Not repeated once it was sent: twice may be twice. Source:"),
        ("get_pet", "`GET /zoos/{zooId}/pets/{petId}`. Scopes: zoo.read, pets.read. Safe"),
        ("update_pet", "`PATCH /zoos/{zooId}/pets/{petId}`. Scope: zoo.read. Safe to repeat: twice is the same as"),
    ],
)
def test_the_last_paragraph_says_how_the_platform_sees_it(pets: ModuleType, name: str, facts: str) -> None:
    assert facts in doc(pets, name).rpartition("\n\n")[2]


def test_deprecation_is_said(pets: ModuleType) -> None:
    assert doc(pets, "get_pet").splitlines()[2].startswith("Deprecated: ")
    assert "old_name: Deprecated. Its former name.\n" in doc(pets, "create_pet")


def test_lists_quotes_and_backslashes_survive(pets: ModuleType) -> None:
    text = doc(pets, "search_pets")
    assert 'A backslash \\d, three quotes """ and a list:\n\n- first, which' in text
    assert "\n- second\n\nAfter the list comes" in text
    assert 'ends with a "quote".\n\nArgs:' in text


def test_attributes_have_docstrings(models: ModuleType) -> None:
    source = inspect.getsource(models.Pet)
    assert (
        '    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")\n' in source
    )
    assert '    """Where it comes from."""\n' in source


def is_text(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@given(st.text(max_size=400), st.sampled_from(["", "    "]))
def test_no_prose_breaks_the_code(text: str, indent: str) -> None:
    made = plain(text, indent)
    source = f"class C:\n    x = 1\n{made}\n" if indent else f"{made}\n"
    tree: ast.AST = ast.parse(source)
    found = [str(node.value.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_text(node.value)]
    assert len(found) <= 1
    assert all(line == line.rstrip() for line in made.split("\n"))
    words = [word for word in text.split() if word.isascii() and word.isalnum()]
    assert all(word in value for word in words for value in found)


@given(st.lists(st.text("abc .", min_size=1, max_size=30), max_size=30))
def test_lines_are_as_long_as_the_code_s(words: list[str]) -> None:
    assert all(len(line) <= WIDTH for line in paragraphs(" ".join(words), "        "))
    assert all(len(line) <= WIDTH for line in plain(" ".join(words), "    ").splitlines())


@pytest.mark.parametrize(
    ("schema", "said", "expected"),
    [
        ({"minimum": 1}, "", ["At least 1."]),
        ({"maximum": 100}, "", ["At most 100."]),
        ({"maximum": 100}, "Rows, 100 at most.", []),
        ({"minimum": 1, "maximum": 100}, "Rows, 100 at most.", ["At least 1."]),
        ({"minimum": 1, "maximum": 1000}, "1 to 1,000 rows.", []),
        ({"minLength": 1}, "", ["At least 1 character."]),
        ({"maxItems": 1}, "", ["At most 1 entry."]),
        ({"items": {"maxLength": 9}}, "", ["At most 9 characters each."]),
        ({"multipleOf": 5}, "", ["A multiple of 5."]),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 2}, "", ["More than 0.", "Less than 2."]),
    ],
)
def test_limits_are_said_once(schema: dict[str, object], said: str, expected: list[str]) -> None:
    assert limit_sentences(schema, said) == expected


def test_sentences_end() -> None:
    assert [sentence(text) for text in ("", "a", "a.", "a?", " a ")] == ["", "a.", "a.", "a?", "a."]
