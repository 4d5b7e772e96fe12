"""Reading what differs from its document: what is right is converted, the rest is kept as it came, each place is told.

Theory of operation. Beside the validator that pydantic has for a type stands a second one, its *reader*, made once from
the same schema. In a reader no field of a model can fail: one that is missing is `None` by a default factory, and a
value that the field's type refuses is taken by the second choice of a union whose first choice is the type. As long as
values conform, neither is called, so that reading tolerantly costs nothing; and an answer is validated once, however
much of it differs.

The functions behind both do not know where in the answer they are. They are given the dict that pydantic is filling,
which becomes the `__dict__` of the model, and note the difference under its identity. If anything was noted, one walk
over the finished result finds the models whose dicts are known, and with them the places. An attempt that pydantic gave
up in between leaves notes, too: its models are no part of the result, so they are never found.

A value that has parts (a list, a mapping, a union) is taken apart when its type refuses it, so that only what is really
wrong stays raw.

Bounds: of each field of a model only so many differences are noted as the reader's caller wants, at most `MOST_NOTED`,
and names from the wire are cut in a place. So what is noted does not grow with the answer, and whoever wants to know of
one place of each field pays for one.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, Union, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel, Discriminator, Tag, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import core_schema

from dialogkit._core.codec.schemas import Node, rewritten, validator_of

Path: TypeAlias = tuple[str | int, ...]

MOST_NOTED: Final = 100
"""Differences of one field that are noted in one answer."""
_LONGEST_STEP: Final = 60
_LONGEST_PLACE: Final = 1_000
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_MISSING: Final = "Field required"
_REFUSED: Final = "Input should be what the document says"
_ABOUT_TYPES: Final = frozenset({"string_type", "int_type", "float_type", "bool_type", "list_type", "dict_type"})
"""Complaints that are the same for every value of one type."""


class Deviation(NamedTuple):
    """One place where a value differs from its type."""

    path: Path
    message: str
    raw: bool = True
    """Whether the value was kept as it came."""


_NOTHING: Final[Mapping[str, Sequence[Deviation]]] = {}
_IS_MISSING: Final = (Deviation((), _MISSING, raw=False),)


def build(expected: Any, value: Any, deviations: list[Deviation]) -> Any:
    """Return `value` (parsed JSON) as `expected`, as far as it is that; the rest goes to `deviations`."""
    return _read(expected, value, (), deviations)


def place(path: Path) -> str:
    """Write a path as it is written in Python, for example `conversations[3].email`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif len(step) <= _LONGEST_STEP and step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{_cut(step)!r}]"
    return text if len(text) <= _LONGEST_PLACE else text[:_LONGEST_PLACE] + "..."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_STEP else text[:_LONGEST_STEP] + "..."


class Reader:
    """Reads values of one type tolerantly."""

    __slots__ = ("_expected", "_validator")

    def __init__(self, expected: Any) -> None:
        self._expected = expected
        schema = TypeAdapter(expected).core_schema
        self._validator = validator_of(rewritten(schema, _tolerant))

    def json(self, content: bytes, most: int = MOST_NOTED) -> tuple[Any, Sequence[Deviation]]:
        """Return what JSON holds, and where that differs: of each field up to `most` places.

        Raises:
            ValidationError: It is not JSON, or of another kind at its top: `python` tells the two apart.
        """
        notes = _Notes(most)
        token = _notes.set(notes)
        try:
            result = self._validator.validate_json(content)
        finally:
            _notes.reset(token)
        return result, notes.found_in(result)

    def python(self, value: object, most: int = MOST_NOTED) -> tuple[Any, Sequence[Deviation]]:
        """Return `value` (parsed JSON) as the type, and where it differs. A deviation at the top may be the whole."""
        notes = _Notes(most)
        token = _notes.set(notes)
        try:
            result = self._validator.validate_python(value)
        except ValidationError as exc:
            refusal = exc
        else:
            return result, notes.found_in(result)
        finally:
            _notes.reset(token)
        deviations: list[Deviation] = []
        return _taken_apart(self._expected, value, (), deviations, refusal), deviations

    def refusal(self, value: object) -> ValidationError | None:
        """Return why a plain value is refused."""
        try:
            self._validator.validate_python(value)
        except ValidationError as exc:
            return exc
        return None


@lru_cache(maxsize=1024)
def _cached_reader(expected: Any) -> Reader:
    return Reader(expected)


def reader(expected: Any) -> Reader:
    """Return the reader of a type."""
    try:
        return _cached_reader(expected)
    except TypeError:  # an annotation need not be hashable
        return Reader(expected)


# What is noted while a reader is at work

_Noted: TypeAlias = "list[tuple[dict[str, Any], Sequence[Deviation]]]"


class _Notes:
    """The differences that one reading has met: by field, with the dict in which the field stands."""

    __slots__ = ("by_field", "most")

    def __init__(self, most: int) -> None:
        self.by_field: dict[_Field, _Noted] = {}
        self.most = most

    def found_in(self, result: object) -> Sequence[Deviation]:
        """Return what was noted about models that are part of `result`, in its order."""
        if not self.by_field or not self.most:
            return ()
        search = _Search(self.by_field)
        search.value(result, ())
        return search.found


class _Search:
    """Finds the models that something was noted about."""

    __slots__ = ("_left", "_noted", "found")

    def __init__(self, notes: Mapping[_Field, _Noted]) -> None:
        self.found: list[Deviation] = []
        self._noted: dict[int, dict[str, Sequence[Deviation]]] = {}
        for field, entries in notes.items():
            for fields, deviations in entries:
                self._noted.setdefault(id(fields), {})[field.name] = deviations
        self._left = len(self._noted)

    def value(self, value: Any, path: Path) -> None:
        kind = cast("type[object]", type(value))
        if kind is list:
            for index, each in enumerate(cast("list[object]", value)):
                if type(each) not in _PLAIN:
                    self.value(each, (*path, index))
                    if not self._left:
                        break
        elif kind is dict:
            for key, each in cast("dict[str, object]", value).items():
                if type(each) not in _PLAIN:
                    self.value(each, (*path, key))
        elif (shape := _shape(cast("Any", kind))) is not None:
            self._model(value.__dict__, shape, path)

    def _model(self, fields: dict[str, Any], shape: _Shape, path: Path) -> None:
        noted = self._noted.get(id(fields), _NOTHING)
        names: Iterable[str] = shape.with_models
        if noted:
            self._left -= 1
            names = sorted({*noted, *names}, key=shape.order) if len(noted) + len(shape.with_models) > 1 else noted
        for name in names:
            if name in noted:
                for rest, message, raw in noted[name]:
                    self.found.append(Deviation((*path, name, *rest), message, raw))
            else:
                self.value(fields[name], (*path, name))


_notes: ContextVar[_Notes] = ContextVar("_notes")


class _Shape:
    """What a search has to know about a model."""

    __slots__ = ("order", "with_models")

    def __init__(self, model: type[BaseModel]) -> None:
        fields = model.model_fields
        self.order = list(fields).index
        self.with_models = [name for name, each in fields.items() if has_models(each.annotation)]


@lru_cache(maxsize=4096)
def _shape(kind: Any) -> _Shape | None:
    return _Shape(kind) if issubclass(kind, BaseModel) else None


def has_models(annotation: Any) -> bool:
    """Say whether a type has models in it."""
    return _has(_is_model, annotation)


def _has(kind: Callable[[Any], bool], annotation: Any) -> bool:
    return kind(annotation) or any(_has(kind, each) for each in get_args(annotation))


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, Sequence)


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, Mapping) or _is_model(annotation)


# What a field of a model does instead of failing


class _Field:
    """One field of a model while it is read: what it does when it is missing, and when its type refuses the value."""

    __slots__ = ("_annotation", "_messages", "_with_parts", "name")

    def __init__(self, model: type[BaseModel], name: str) -> None:
        self.name = name
        self._annotation = _annotation(model.model_fields[name])
        kinds = {list: _is_list, dict: _is_mapping}
        self._with_parts = frozenset(kind for kind, fits in kinds.items() if _has(fits, self._annotation))
        """The kinds of JSON that the type takes and that can be taken apart."""
        self._messages: dict[type, str] = {}
        """What is wrong with a value, by its type, where it is the type that is wrong."""

    def missing(self, fields: dict[str, Any]) -> None:
        """Note that the field is missing in what becomes a model's `fields`."""
        noted = self._noted()
        if noted is not None:
            noted.append((fields, _IS_MISSING))

    def keep(self, value: Any, info: core_schema.ValidationInfo[Any]) -> Any:
        """Return a value that the field's type refuses, read as far as it can be."""
        noted = self._noted()
        if type(value) not in self._with_parts:
            if noted is not None:
                noted.append((info.data, (Deviation((), self._message(value)),)))
            return value
        deviations: list[Deviation] = []
        result = _read(self._annotation, value, (), deviations)
        if noted is not None:
            noted.append((info.data, deviations[:MOST_NOTED]))
        return result

    def _noted(self) -> _Noted | None:
        """Return where a difference is noted, unless there are enough of them."""
        notes = _notes.get()
        noted = notes.by_field.get(self)
        if noted is None:
            noted = notes.by_field[self] = []
        return noted if len(noted) < notes.most else None

    def _message(self, value: object) -> str:
        known = self._messages.get(type(value))
        if known is not None:
            return known
        refusal = reader(self._annotation).refusal(value)
        if refusal is None:
            return _REFUSED
        if all(each["type"] in _ABOUT_TYPES for each in _errors(refusal)):
            self._messages[type(value)] = _reason(refusal)
        return _reason(refusal)


def _tolerant(model: type[BaseModel], name: str, schema: Node) -> Node:
    field = _Field(model, name)
    if schema["type"] == "default":
        return {**schema, "schema": _kept(field, schema["schema"])}
    return {
        "type": "default",
        "schema": _kept(field, schema),
        "default_factory": field.missing,
        "default_factory_takes_data": True,
    }


def _kept(field: _Field, schema: Node) -> Node:
    if schema["type"] == "any":
        return schema
    choices = [schema, core_schema.with_info_plain_validator_function(field.keep)]
    return {"type": "union", "choices": choices, "mode": "left_to_right"}


# Taking a value apart


def _read(expected: Any, value: Any, path: Path, deviations: list[Deviation]) -> Any:
    result, found = reader(expected).python(value)
    deviations += [Deviation((*path, *rest), message, raw) for rest, message, raw in found] if path else found
    return result


def _taken_apart(expected: Any, value: Any, path: Path, deviations: list[Deviation], refusal: ValidationError) -> Any:
    """Read the parts of a value that is refused as a whole."""
    before = len(deviations)
    result = _by_parts(expected, value, path, deviations, refusal)
    if len(deviations) == before:  # every part is right, and yet the whole is not
        deviations.append(Deviation(path, _reason(refusal), raw=False))
    return result


def _by_parts(expected: Any, value: Any, path: Path, deviations: list[Deviation], refusal: ValidationError) -> Any:
    origin = get_origin(expected)
    if origin is Annotated:
        return _read(_meant(expected, value), value, path, deviations)
    if origin in (Union, types.UnionType):
        return _best(get_args(expected), value, path, deviations, refusal)
    if isinstance(value, list) and origin in (list, Sequence):
        (inner,) = get_args(expected)
        elements = cast("list[object]", value)
        return [_read(inner, each, (*path, index), deviations) for index, each in enumerate(elements)]
    if isinstance(value, dict):
        values = cast("dict[str, Any]", value)
        if origin in (dict, Mapping):
            inner = get_args(expected)[1]
            return {key: _read(inner, each, (*path, key), deviations) for key, each in values.items()}
        if isinstance(expected, type) and issubclass(expected, BaseModel):
            return _model(expected, values, path, deviations)
    deviations.append(Deviation(path, _reason(refusal)))
    return cast("Any", value)


def _meant(expected: Any, value: object) -> Any:
    """Return an annotated type without its annotations; of a tagged union, the member that the value names."""
    inner, *metadata = get_args(expected)
    for each in metadata:
        if isinstance(each, Discriminator) and callable(each.discriminator):
            tag = each.discriminator(value)
            for member in get_args(inner):
                if any(isinstance(mark, Tag) and mark.tag == tag for mark in get_args(member)[1:]):
                    return get_args(member)[0]
    return inner


def _best(members: Iterable[Any], value: Any, path: Path, deviations: list[Deviation], refusal: ValidationError) -> Any:
    """Read a value as the member of a union that fits best; one of no member's kind stays as it is."""
    best: tuple[list[Deviation], Any] | None = None
    for member in members:
        trial: list[Deviation] = []
        result = _read(member, value, path, trial)
        if any(each.path == path and each.raw for each in trial):
            continue
        if best is None or len(trial) < len(best[0]):
            best = trial, result
    if best is None:
        deviations.append(Deviation(path, _reason(refusal)))
        return value
    deviations += best[0]
    return best[1]


def _model(model: type[BaseModel], values: dict[str, Any], path: Path, deviations: list[Deviation]) -> BaseModel:
    """Build a model whose fields may be right, and which breaks a rule about the whole."""
    model.model_rebuild()
    fields: dict[str, Any] = {}
    given: set[str] = set()
    used: set[str] = set()
    for name, field in model.model_fields.items():
        key = next((key for key in _keys(name, field) if key in values), None)
        if key is not None:
            used.add(key)
            given.add(name)
            fields[name] = _read(_annotation(field), values[key], (*path, name), deviations)
        elif field.is_required():
            deviations.append(Deviation((*path, name), _MISSING, raw=False))
            fields[name] = None
        else:
            fields[name] = field.get_default(call_default_factory=True, validated_data=fields)
    result = model.model_construct(given)
    object.__setattr__(result, "__dict__", fields)
    if model.model_config.get("extra") == "allow":
        extra = {key: value for key, value in values.items() if key not in used}
        object.__setattr__(result, "__pydantic_extra__", extra)
    return result


def _keys(name: str, field: FieldInfo) -> list[str]:
    """Return the JSON keys under which a field may come, the best first."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [*(each for each in choices if isinstance(each, str)), name]


def _annotation(field: FieldInfo) -> Any:
    if not field.metadata:
        return field.annotation
    parts = (field.annotation, *field.metadata)
    return cast(Any, Annotated)[parts]


# What is wrong


def _errors(refusal: ValidationError) -> Any:
    return refusal.errors(include_url=False, include_input=False, include_context=False)


def _reason(refusal: ValidationError) -> str:
    """Return what pydantic found wrong, without the value."""
    errors = _errors(refusal)
    telling = [each for each in errors if each["type"] != "literal_error"] or errors
    return " or ".join(dict.fromkeys(each["msg"] for each in telling))
