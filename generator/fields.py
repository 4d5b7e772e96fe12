"""Properties and parameters as fields, and unions of objects as their members' fields."""

from __future__ import annotations

from collections.abc import Iterator

from generator.document import Document, JsonObject, as_list, as_object
from generator.model import Field, Union
from generator.naming import python_name
from generator.schemas import SCHEMA_PREFIX, is_secret, merged_properties, required_properties, type_of


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
        also=tuple(str(each) for each in as_list(schema.get("x-also-known-as"))),
    )


def parameter_field(document: Document, parameter: JsonObject) -> Field:
    """Make a field of a parameter."""
    schema = as_object(parameter.get("schema"))
    return Field(
        wire=str(parameter["name"]),
        python=str(parameter.get("x-python-name", python_name(str(parameter["name"])))),
        type=type_of(schema),
        required=parameter.get("required") is True,
        description=str(parameter.get("description", "")),
        schema=document.deref(schema) | schema,
        comma_separated=parameter.get("in") == "query" and parameter.get("explode") is False,
        from_client="x-from-client" in parameter,
        deprecated=parameter.get("deprecated") is True,
    )


def union_of(document: Document, name: str, schema: JsonObject) -> Union:
    """Make a union of a named schema with a discriminator."""
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


def member_fields(document: Document, union: Union) -> Iterator[tuple[str, list[Field]]]:
    """Every property of a union's members, with the fields it is in those members that have it."""
    found: dict[str, list[Field]] = {}
    for _, member in union.members:
        schema = as_object(document.schemas[member])
        required = required_properties(document, schema)
        for wire, raw in merged_properties(document, schema).items():
            found.setdefault(wire, []).append(property_field(document, wire, raw, required=wire in required))
    yield from found.items()
