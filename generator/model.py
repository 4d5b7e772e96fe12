"""What a document says, as data: the templates see nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["any", "str", "int", "float", "bool", "none", "datetime", "date", "unix-ms", "unix-s", "file", "bytes"]
Side = Literal["request", "response", "both"]


@dataclass(frozen=True)
class Plain:
    """A type without parts."""

    kind: Kind
    limits: tuple[tuple[str, Any], ...] = ()
    """Constraints, as arguments of pydantic's `Field`."""


@dataclass(frozen=True)
class Constant:
    """Exactly one value."""

    value: str | int | bool


@dataclass(frozen=True)
class ListOf:
    """An array."""

    item: Type
    limits: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class MapOf:
    """An object with free keys."""

    value: Type


@dataclass(frozen=True)
class Named:
    """A component, by the name of its class or alias."""

    name: str


@dataclass(frozen=True)
class OneOf:
    """One of several types; null is a member like any other."""

    members: tuple[Type, ...]


Type = Plain | Constant | ListOf | MapOf | Named | OneOf
NONE = Plain("none")
ANY = Plain("any")


@dataclass(frozen=True, kw_only=True)
class Field:
    """A property of an object, or a parameter."""

    wire: str
    python: str
    type: Type
    required: bool
    description: str = ""
    schema: dict[str, Any] = field(default_factory=dict[str, Any])
    """The schema as the document has it, for the sentences about limits and defaults."""
    secret: bool = False
    comma_separated: bool = False
    from_client: bool = False
    deprecated: bool = False
    also: tuple[str, ...] = ()
    """Other names under which an answer may bring it."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A class made of fields."""

    name: str
    description: str
    fields: tuple[Field, ...]
    base: Literal["Model", "SnakeModel", "Input", "SnakeInput", "Arguments"]
    side: Side
    constants: tuple[str, ...] = ()
    """Required fields that have one value, and are sent although nobody sets them."""
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of fields of which at least one must be given."""
    together: tuple[tuple[str, ...], ...] = ()
    """Groups of fields that are given together or not at all."""


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """An open set of known values."""

    name: str
    description: str
    values: tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Alias:
    """Another name for a type that is no class."""

    name: str
    description: str
    type: Type
    side: Side


@dataclass(frozen=True, kw_only=True)
class Union:
    """One of several models, told apart by a tag."""

    name: str
    description: str
    tag: Field
    members: tuple[tuple[str, str], ...]
    """Tag values and the models they select."""

    @property
    def open_member(self) -> str:
        """The model that takes what has an unknown tag."""
        return f"Unknown{self.name}"


Component = Model | Enumeration | Alias | Union


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A parameter of a generated function."""

    field: Field
    place: Literal["path", "query", "header", "body"]
    whole_body: bool = False
    """The argument is the body, not one of its properties."""
    positional: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An endpoint, and the function that calls it."""

    id: str
    """Its id in the document, which is the function's name."""
    name: str
    """What users write: `bots.list`; its id, where no client offers it."""
    method: str
    path: str
    """The template as the platform writes it."""
    tag: str
    summary: str
    description: str
    arguments: tuple[Argument, ...]
    result: Type | None
    answer: Literal["json", "text", "bytes", "none"]
    result_remark: str
    body: Named | None
    encoding: Literal["json", "form", "multipart"]
    path_model: str | None
    """What checks the path's arguments, unless they are plain strings."""
    query_model: str | None
    header_model: str | None
    retry: Literal["safe", "idempotent", "never-after-sent"]
    unwrap: str | None
    also_wrapped_in: tuple[str, ...]
    items: str | None
    single_as_list: bool
    authenticated: bool
    account: tuple[str, str] | None
    """The place and the name of the argument that says which account a call is about."""
    scopes: tuple[str, ...]
    errors: tuple[tuple[int, str], ...]
    source: str | None
    deprecated: bool

    @property
    def template(self) -> str:
        """The path's template in Python names."""
        names = {argument.field.wire: argument.field.python for argument in self.arguments_in("path")}
        return re.sub(r"\{([^{}]*)\}", lambda found: f"{{{names[found[1]]}}}", self.path)

    @property
    def files(self) -> tuple[str, ...]:
        """Arguments that are files."""
        return tuple(a.field.python for a in self.arguments if a.place == "body" and holds_file(a.field.type))

    @property
    def reports_progress(self) -> bool:
        """Whether the function takes `on_progress`."""
        return bool(self.files) or self.answer == "bytes"

    def arguments_in(self, place: str) -> tuple[Argument, ...]:
        """The arguments that travel in one part of the request."""
        return tuple(argument for argument in self.arguments if argument.place == place)


@dataclass(frozen=True, kw_only=True)
class Module:
    """The functions of one tag."""

    name: str
    description: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """A webhook: the name the platform gives it, and the model of its body."""

    name: str
    model: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """Everything that is generated for one vendor."""

    modules: tuple[Module, ...]
    errors: tuple[tuple[int, str], ...]
    """What every operation can be refused with; the operations' own say what is particular."""
    components: tuple[Component, ...]
    """In the order in which they can be defined."""
    events: tuple[Event, ...]
    events_description: str
    early: frozenset[tuple[str, str]]
    """Pairs of a class and a component that is defined after it."""


def holds_file(value: Type) -> bool:
    """Whether values of this type contain a file to upload."""
    match value:
        case Plain(kind="file"):
            return True
        case ListOf(item=inner) | MapOf(value=inner):
            return holds_file(inner)
        case OneOf(members=members):
            return any(holds_file(member) for member in members)
        case _:
            return False


def names_in(value: Type) -> set[str]:
    """The components that a type mentions."""
    match value:
        case Named(name=name):
            return {name}
        case ListOf(item=inner) | MapOf(value=inner):
            return names_in(inner)
        case OneOf(members=members):
            return set[str]().union(*(names_in(member) for member in members))
        case _:
            return set()
