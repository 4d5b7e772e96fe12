"""Every rule of the linter, by documents that break it.

The cases are in documents/broken.yaml.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.cli import main
from generator.document import Document, is_list, is_object, load
from generator.lint import lint
from generator.parse import parse
from tests.generator.conftest import DOCUMENTS, make_project

BASE = """
openapi: 3.1.0
info: {title: Zoo, version: '1', x-sources: {book: The handbook}, x-client-headers: [Zoo-Version]}
security: [{bearer: []}]
tags: [{name: pets, description: Animals.}, {name: webhooks, description: Events.}]
paths:
  /pets/{petId}:
    parameters: [{$ref: '#/components/parameters/PetId'}]
    get:
      operationId: get_pet
      tags: [pets]
      summary: Get a pet.
      x-source: book
      parameters: [{name: limit, in: query, description: Rows., schema: {type: integer}}]
      responses: {'200': {$ref: '#/components/responses/Pet'}}
    put:
      operationId: put_pet
      tags: [pets]
      summary: Put a pet.
      x-source: book
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/PetPut'}}}
      responses: {'200': {$ref: '#/components/responses/Pet'}}
webhooks:
  Born:
    post:
      operationId: on_born
      tags: [webhooks]
      summary: A pet was born.
      x-source: book
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
      responses: {'200': {description: Taken.}}
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  parameters:
    PetId: {name: petId, in: path, required: true, description: The pet., schema: {type: string}}
  responses:
    Pet: {description: A pet., content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
  schemas:
    Pet:
      type: object
      description: A pet.
      properties:
        name: {type: string}
        tags: {type: array, items: {type: string}}
    PetPut:
      type: object
      description: A pet to put.
      properties:
        name: {type: string, description: Its name.}
"""
GET = "/paths/~1pets~1{petId}/get"
SCHEMAS = "/components/schemas"
PET = f"{SCHEMAS}/Pet"
PET_PUT = f"{SCHEMAS}/PetPut"


class Replacement:
    """A value that takes the place of another, without being merged into it."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Loader(yaml.SafeLoader):
    """YAML with `!set`."""


def construct_replacement(loader: Loader, node: yaml.Node) -> Replacement:
    if isinstance(node, yaml.MappingNode):
        return Replacement(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Replacement(loader.construct_sequence(node, deep=True))
    return Replacement(loader.construct_scalar(cast(yaml.ScalarNode, node)))


Loader.add_constructor("!set", construct_replacement)


def merge(base: Any, patch: Any) -> Any:
    if isinstance(patch, Replacement):
        return patch.value
    if not is_object(patch) or not is_object(base):
        return patch
    merged = copy.deepcopy(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def findings_of(text: str, folder: Path) -> list[str]:
    path = folder / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    return [f"{finding.pointer}: {finding.message}" for finding in lint(load(path, "openapi/zoo.yaml"))]


def test_the_base_is_clean(tmp_path: Path) -> None:
    assert findings_of(BASE, tmp_path) == []


UNION = """
components:
  schemas:
    Pet: {properties: {name: !set {$ref: '#/components/schemas/Toy'}}}
    Toy:
      description: A toy.
      oneOf: [{$ref: '#/components/schemas/Ball'}, {$ref: '#/components/schemas/Bone'}]
      discriminator:
        propertyName: type
        mapping: {ball: '#/components/schemas/Ball', bone: '#/components/schemas/Bone'}
    Ball: {type: object, description: B., required: [type], properties: {type: {type: string, const: ball}}}
    Bone: {type: object, description: B., required: [type], properties: {type: {type: string, const: bone}}}
"""


def cases() -> list[Any]:
    text = (DOCUMENTS / "broken.yaml").read_text(encoding="utf-8")
    return [pytest.param(case, id=case["rule"]) for case in yaml.load_all(text, Loader=Loader)]


@pytest.mark.parametrize("case", cases())
def test_rules(case: dict[str, Any], tmp_path: Path) -> None:
    base = yaml.safe_load(BASE)
    if case.get("base") == "union":
        base = merge(base, yaml.load(UNION, Loader=Loader))
    document = yaml.safe_dump(merge(base, case["patch"]), sort_keys=False)
    compare(findings_of(document, tmp_path), case["findings"])


def test_a_clean_union(tmp_path: Path) -> None:
    document = merge(yaml.safe_load(BASE), yaml.load(UNION, Loader=Loader))
    assert findings_of(yaml.safe_dump(document, sort_keys=False), tmp_path) == []


def compare(found: list[str], expected: list[str]) -> None:
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openapi: [", ": This is not YAML: "),
        ("", ": A document is a mapping"),
        ("- a", ": A document is a mapping"),
        ("paths: {a: 1, a: 2}", "/paths/a: The key 'a' stands here twice."),
        ("responses: {200: {description: A.}}", "/responses/200: The key '200' is not a string; put it in quotes."),
    ],
)
def test_what_is_not_a_document(text: str, expected: str, tmp_path: Path) -> None:
    (found,) = findings_of(text, tmp_path)
    assert found.startswith(expected)


def test_what_has_no_end_is_a_finding(tmp_path: Path) -> None:
    deep = BASE.replace("name: {type: string, description: Its name.}", f"name: {'{items: ' * 200}1{'}' * 200}")
    assert deep != BASE
    bomb = "\n".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 8) if n else 'x'}]" for n in range(12))
    for text, words in (
        (deep, "nested more than 100 levels deep"),
        ("a: &a [*a]", "nested more than 100 levels deep"),
        ("[" * 100_000, "nested more than 100 levels deep"),
        (f"x:\n{bomb}\n", "With its aliases the document has more than"),
    ):
        (found,) = findings_of(text, tmp_path)
        assert words in found
        assert len(found) < 300


def test_a_type_alone_in_a_list_and_null_at_either_end_are_what_they_say(tmp_path: Path) -> None:
    for kinds in ("[string]", "['null', string]", "[string, 'null']"):
        assert findings_of(BASE.replace("name: {type: string}", f"name: {{type: {kinds}}}"), tmp_path) == []


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_bytes(b"a: \xff")
    (finding,) = lint(load(path, "openapi/zoo.yaml"))
    assert finding.message == "This is not UTF-8 text: invalid start byte at byte 3."


def test_all_findings_come_at_once_with_their_lines_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BASE.replace("summary: Get a pet.", "summary: Get").replace("in: query,", "in: query, x-odd: 1,")
    text = text.replace("description: A pet to put.", "x-retry: safe")
    root = make_project(tmp_path, text)
    assert main([], root=root) == 1
    assert not (root / "src").exists()

    def line_of(words: str) -> int:
        return next(number for number, line in enumerate(text.splitlines(), 1) if words in line)

    known = "is not known here; openapi/README.md lists the keys."
    assert capsys.readouterr().err.splitlines() == [
        f"openapi/zoo.yaml#{place}: {message} (line {line})"
        for place, message, line in (
            (PET_PUT, "A named schema needs a description: it becomes a docstring.", line_of("    PetPut:")),
            (f"{PET_PUT}/x-retry", f"`x-retry` {known}", line_of("x-retry: safe")),
            (f"{GET}/parameters/0/x-odd", f"`x-odd` {known}", line_of("x-odd")),
            (f"{GET}/summary", "A summary is one sentence with a full stop.", line_of("summary: Get")),
        )
    ]


def test_what_the_parser_refuses_is_a_finding_without_addresses(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(BASE.replace("{type: array, items: {type: string}}", "{type: array}"))
    parsed, findings = parse(load(path, "openapi/zoo.yaml"))
    assert parsed is None
    assert {finding.pointer for finding in findings} == {PET, GET, f"{GET.removesuffix('get')}put"}
    for finding in findings:
        assert finding.message.startswith("The parser refuses this: ")
        assert "0x" not in finding.message
        assert "object at" not in finding.message
        assert "UntrustedString" not in finding.message


NASTY = load(DOCUMENTS / "nasty.yaml", "openapi/nasty.yaml")
PLACES = [place for place in NASTY.lines if place]
JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just([{}]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=2))
def test_no_document_breaks_the_linter(damage: list[tuple[str, Any]]) -> None:
    data = copy.deepcopy(NASTY.data)
    for place, junk in damage:
        replace_at(data, place, junk)
    document = Document(vendor="nasty", name="nasty.yaml", data=data, digest="", lines={})
    if not lint(document):
        parse(document)


def replace_at(data: Any, place: str, junk: Any) -> None:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]
    for part in path:
        data = child(data, part)
    if is_object(data):
        data[last] = junk
    elif is_list(data) and int(last) < len(data):
        data[int(last)] = junk


def child(data: Any, key: str) -> Any:
    """What stands under a key, as far as earlier damage has left it."""
    if is_list(data):
        return data[int(key)] if key.isdigit() and int(key) < len(data) else None
    return data.get(key) if is_object(data) else None
