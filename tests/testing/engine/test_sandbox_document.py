from __future__ import annotations

from typing import Any

import pytest

from dialogkit.testing.engine.document import Document, read_document
from dialogkit.testing.hoopai.handlers import HANDLERS


def answer(schema: Any = None) -> dict[str, Any]:
    content = {"content": {"application/json": {"schema": schema}}} if schema else {}
    return {"200": {"description": "Fine.", **content}}


def operation(id_: str, **more: Any) -> dict[str, Any]:
    return {"operationId": id_, "tags": ["things"], "responses": answer(), **more}


RAW: dict[str, Any] = {
    "openapi": "3.1.0",
    "security": [{"bearer": []}],
    "paths": {
        "/things/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": operation("get_thing"),
            "delete": operation("delete_thing", security=[]),
        },
        "/things/search": {"get": operation("search_things")},
        "/things/": {"get": operation("list_things")},
        "/things/{id}/parts/{partId}": {"get": operation("get_part")},
        "/things/{id}/parts/list": {"get": operation("list_parts")},
        "/{kind}/all/parts/list": {"get": operation("list_all")},
    },
    "components": {"parameters": {"Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}}},
}


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(RAW)


@pytest.mark.parametrize(
    ("path", "found", "values"),
    [
        ("/things/search", "search_things", {}),
        ("/things/1", "get_thing", {"id": "1"}),
        ("/things/se%61rch", "search_things", {}),
        ("/things/a%2Fb", "get_thing", {"id": "a/b"}),
        ("/things/", "list_things", {}),
        ("/things", None, {}),
        ("/things/1/", None, {}),
        ("//things/1", None, {}),
        ("/things/1/parts/2", "get_part", {"id": "1", "partId": "2"}),
        ("/things/1/parts/list", "list_parts", {"id": "1"}),
        ("/things/all/parts/list", "list_parts", {"id": "all"}),
        ("/others/all/parts/list", "list_all", {"kind": "others"}),
        ("/things//parts/list", None, {}),
        ("", None, {}),
    ],
)
def test_routes(document: Document, path: str, found: str | None, values: dict[str, str]) -> None:
    match = document.find(path)
    assert (match.operations["GET"].id if match else None) == found
    assert (match.values if match else {}) == values


def test_operations_are_read(document: Document) -> None:
    get, delete = document.operations["get_thing"], document.operations["delete_thing"]
    assert [(each.name, each.place, each.required) for each in get.parameters] == [("id", "path", True)]
    assert (get.method, get.success, get.public, get.body) == ("GET", 200, False, {})
    assert delete.public


def test_the_document_that_is_given_stays_as_it_is(document: Document) -> None:
    assert RAW["paths"]["/things/{id}"]["parameters"][0]["$ref"] == "#/components/parameters/Id"
    assert document.raw["paths"]["/things/{id}"]["parameters"][0]["$ref"] != "#/components/parameters/Id"


def test_each_operation_has_a_handler() -> None:
    assert set(HANDLERS) == set(read_document("hoopai.yaml").operations)


def test_a_document_that_is_missing_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"no OpenAPI document nowhere\.yaml"):
        read_document("nowhere.yaml")
