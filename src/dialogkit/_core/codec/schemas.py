"""Schemas of pydantic, rewritten: what a model's fields do can be changed without touching the model.

A core schema is a tree of plain dicts, documented in `pydantic_core.core_schema`. Only the kinds of nodes that models
are made of are entered; a kind that is not known here stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, SchemaValidator, core_schema

Node: TypeAlias = dict[str, Any]
FieldRule: TypeAlias = Callable[[type[BaseModel], str, Node], Node]
"""Takes a model, the name of a field and the field's schema, whose inside has been rewritten, and returns another."""

_INSIDE: Final = {
    "model": "schema",
    "definitions": "schema",
    "nullable": "schema",
    "default": "schema",
    "function-before": "schema",
    "function-after": "schema",
    "list": "items_schema",
    "dict": "values_schema",
}
_AROUND_FIELDS: Final = frozenset({"model", "function-before", "function-after", "function-wrap", "definitions"})
_SCALARS: Final = frozenset({"str", "int", "float"})
_RENAMED: Final = "#rewritten"


def rewritten(schema: CoreSchema, rule: FieldRule) -> CoreSchema:
    """Return `schema` with `rule` applied to every field of every model, as far as it is clear which model is meant.

    The members of a union without a tag are told apart by what they refuse, so they keep their schemas.
    """
    return cast("CoreSchema", _Rewriting(rule).node(cast("Node", schema), None))


def own_fields(schema: CoreSchema, model: type[BaseModel], change: Callable[[FieldInfo, Node], Node]) -> CoreSchema:
    """Return the schema of `model` with `change` applied to each of its own fields."""
    node = cast("Node", schema)
    if node["type"] == "model-fields":
        of = model.model_fields
        fields = {name: {**each, "schema": change(of[name], each["schema"])} for name, each in node["fields"].items()}
        return cast("CoreSchema", {**node, "fields": fields})
    if node["type"] not in _AROUND_FIELDS:
        return schema
    return cast("CoreSchema", {**node, "schema": own_fields(node["schema"], model, change)})


def noticing(node: Node, notice: Callable[[Any, core_schema.ValidationInfo[Any]], Any]) -> Node:
    """Return a field's schema in which `notice` is given each value that an open enumeration does not know."""
    if node["type"] == "union" and node["choices"][0]["type"] == "literal":
        known, *others = node["choices"]
        others = [
            core_schema.with_info_after_validator_function(notice, each) if each["type"] in _SCALARS else each
            for each in others
        ]
        return {**node, "choices": [known, *others], "mode": "left_to_right"}
    inside = _INSIDE.get(node["type"])
    if inside is None or inside not in node or node["type"] == "model":
        return node
    return {**node, inside: noticing(node[inside], notice)}


def validator_of(schema: CoreSchema) -> SchemaValidator:
    """Return a validator that does just what `schema` says.

    Left to itself, pydantic takes the validators that the models in it have already. Where it cannot be told otherwise
    (before 2.13), fields of models inside of others are checked as their models say.
    """
    try:
        return SchemaValidator(schema, _use_prebuilt=False)
    except TypeError:
        return SchemaValidator(schema)


class _Rewriting:
    def __init__(self, rule: FieldRule) -> None:
        self._rule = rule

    def node(self, node: Node, model: type[BaseModel] | None) -> Node:
        kind = node["type"]
        if kind == "model":
            model = node["cls"]
        elif kind == "model-fields" and model is not None:
            return {**node, "fields": {name: self._field(model, name, each) for name, each in node["fields"].items()}}
        elif kind == "tagged-union":
            return {**node, "choices": {tag: self.node(each, model) for tag, each in node["choices"].items()}}
        elif kind == "definition-ref":
            return {**node, "schema_ref": node["schema_ref"] + _RENAMED}
        inside = _INSIDE.get(kind)
        if inside is None or inside not in node:
            return node
        result = {**node, inside: self.node(node[inside], model)}
        if kind == "definitions":
            result["definitions"] = [*node["definitions"], *map(self._definition, node["definitions"])]
        return result

    def _definition(self, definition: Node) -> Node:
        return {**self.node(definition, None), "ref": definition["ref"] + _RENAMED}

    def _field(self, model: type[BaseModel], name: str, field: Node) -> Node:
        return {**field, "schema": self._rule(model, name, self.node(field["schema"], model))}
