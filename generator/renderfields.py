"""Fields and rules of a model as Python code."""

from __future__ import annotations

from collections.abc import Iterator

from generator import docstrings
from generator.model import NONE, Constant, Field, Model, OneOf, Plain, names_in
from generator.naming import has_camel_alias
from generator.pytypes import in_model, literal

_INDENT = "    "


def shadowed_names(model: Model) -> frozenset[str]:
    """Names of builtins that a field of the class hides from the annotations in it."""
    return frozenset(field.python for field in model.fields)


def field_lines(model: Model, early: set[str]) -> Iterator[str]:
    """The lines that define a model's fields; `early` components are defined later, and stand in quotes."""
    for field in model.fields:
        annotation = _annotation(model, field)
        if early & names_in(field.type):
            annotation = literal(annotation)
        yield f"{_INDENT}{field.python}: {annotation}{_assignment(model, field)}"
        text = docstrings.plain(docstrings.spelled(_description(field), model.fields), _INDENT)
        if text:
            yield text


def rule_lines(model: Model) -> Iterator[str]:
    """The lines that define what concerns several fields."""
    if model.constants and model.side != "response":
        yield _rule("always_sent", "always_sent", model.constants)
    for number, group in enumerate(model.one_of):
        yield _rule(f"require_one_of{_suffix(number)}", "require_one_of", group)
    for number, group in enumerate(model.together):
        yield _rule(f"require_together{_suffix(number)}", "require_together", group)


def _suffix(number: int) -> str:
    return f"_{number + 1}" if number else ""


def _rule(name: str, helper: str, fields: tuple[str, ...]) -> str:
    return f"{_INDENT}_{name}: ClassVar[Any] = {helper}({', '.join(literal(field) for field in fields)})"


def _description(field: Field) -> str:
    parts = ["Deprecated."] if field.deprecated else []
    parts.append(docstrings.sentence(field.description))
    return " ".join(part for part in parts if part)


def _annotation(model: Model, field: Field) -> str:
    annotation = in_model(field.type, model.side, shadowed=shadowed_names(model))
    if field.comma_separated:
        constrained = annotation.startswith("Annotated[")
        annotation = f"{annotation[:-1] if constrained else f'Annotated[{annotation}'}, CommaSeparated]"
    if _is_optional(model, field) and not _takes_none(field):
        annotation = f"{annotation} | None"
    elif model.base in ("Input", "SnakeInput") and _may_be_null(field):
        annotation = f"Annotated[{annotation}, Null]"
    return annotation


def _may_be_null(field: Field) -> bool:
    return not field.required and isinstance(field.type, OneOf) and NONE in field.type.members


def _is_optional(model: Model, field: Field) -> bool:
    """Whether a field may be missing; a constant that an answer leaves out is what it says, one to send is not sent."""
    return not field.required and not (isinstance(field.type, Constant) and model.side == "response")


def _takes_none(field: Field) -> bool:
    match field.type:
        case OneOf(members=members):
            return NONE in members
        case Plain(kind=kind):
            return kind in ("any", "none", "file", "bytes")
        case _:
            return False


def _assignment(model: Model, field: Field) -> str:
    default = ""
    if _is_optional(model, field):
        default = "None"
    elif isinstance(field.type, Constant):
        default = literal(field.type.value)
    options = _alias(model, field)
    if field.secret:
        options.append("repr=False")
    if not options:
        return f" = {default}" if default else ""
    return f" = Field({', '.join([*([f'default={default}'] if default else []), *options])})"


def _alias(model: Model, field: Field) -> list[str]:
    if model.base == "Arguments":
        return [f"serialization_alias={literal(field.wire)}"] if field.python != field.wire else []
    if field.also:
        choices = ", ".join(literal(name) for name in (field.wire, *field.also))
        return [f"validation_alias=AliasChoices({choices})", f"serialization_alias={literal(field.wire)}"]
    fits = field.python == field.wire if model.base.startswith("Snake") else has_camel_alias(field.python, field.wire)
    if fits:
        return []
    return [f"validation_alias={literal(field.wire)}", f"serialization_alias={literal(field.wire)}"]
