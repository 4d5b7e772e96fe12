"""What comes back: the base of every model, and what the generated models are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

import pydantic_core
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema
from typing_extensions import Self

from dialogkit._core.codec.arguments import notice_unknown
from dialogkit._core.codec.schemas import Node, noticing, own_fields
from dialogkit._core.codec.tolerance import has_models, reader
from dialogkit._core.response import ResponseInfo
from dialogkit._core.support.json import is_array, is_object
from dialogkit._core.support.veil import veiled


class Model(BaseModel):
    """A JSON object of a platform.

    Attributes are snake_case, JSON keys as the platform spells them; both are accepted when a model is built.
    Fields that the document does not know are kept (`model_extra`), and enumerations accept unknown values, since
    platforms add both without notice. Fields that were never given are left out when the model is sent, fields
    given as `None` are sent as null.

    A platform may answer otherwise than its document says. What `model_validate` and `model_validate_json` read is
    taken as answers are: a required field that is missing is `None`, a value of another type stays as it came. So
    whatever a call has returned can be dumped, kept and read back. Building a model by its name checks every type, and
    so does `strict=True`.

    Values whose names say that they are secret (token, secret, password, key) do not show in `repr`.
    """

    # A slot, because an instance attribute would be written into the JSON and a private attribute slows every model.
    __slots__ = ("_response_info",)

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="allow",
        defer_build=True,
        loc_by_alias=False,
        protected_namespaces=(),
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        return own_fields(handler(source), cls, _written_as_it_is)

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Read a mapping as an answer is read; see the class. Keywords are pydantic's."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError:
            if options or not is_object(obj) or (found := cls._read(obj)) is None:
                raise
        return found

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Read JSON as an answer is read; see the class. Keywords are pydantic's."""
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as exc:
            not_json = exc.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid"
            if options or not_json or (found := cls._read(pydantic_core.from_json(json_data))) is None:
                raise
        return found

    @classmethod
    def _read(cls, value: object) -> Self | None:
        """Return `value`, which is refused, as far as it is one of these; `None` if it is not at all."""
        if cls.model_config.get("extra") != "allow":
            return None  # it is made to be sent
        result, _ = reader(cls).python(value, 0)
        return result if isinstance(result, cls) else None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, value if name is None else veiled(name, value)) for name, value in super().__repr_args__()]

    def __getstate__(self) -> dict[Any, Any]:
        info = getattr(self, "_response_info", None)
        return super().__getstate__() if info is None else {**super().__getstate__(), "_response_info": info}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        info = state.pop("_response_info", None)
        super().__setstate__(state)
        if info is not None:
            attach_info(self, info)

    def __copy__(self) -> Self:
        return self._with_info(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self._with_info(super().__deepcopy__(memo))

    def _with_info(self, copy: Self) -> Self:
        info = getattr(self, "_response_info", None)
        if info is not None:
            attach_info(copy, info)
        return copy


class SnakeModel(Model):
    """A JSON object whose keys are spelled as its attributes."""

    model_config = ConfigDict(alias_generator=None)


class Input(Model):
    """A JSON object that is only ever sent: nothing beyond what the document declares, and null only where it says so.

    It is checked when it is built, and once more when it is sent, since attributes may have been set meanwhile.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        return own_fields(super().__get_pydantic_core_schema__(source, handler), cls, _as_sent)


class SnakeInput(Input):
    """An object to be sent whose keys are spelled as its attributes."""

    model_config = ConfigDict(alias_generator=None)


class Null:
    """Marks a field that the document lets be null; the other fields of an `Input` are given or left out."""


def _written_as_it_is(field: FieldInfo, schema: Node) -> Node:
    """Let a field be dumped by what its value is, since an answer may have brought another type, without a warning."""
    if CommaSeparated in field.metadata:
        return schema
    if not has_models(field.annotation):
        return {**schema, "serialization": core_schema.simple_ser_schema("any")}
    return {**schema, "serialization": _AS_IT_IS_WITH_MODELS}


def _dump(value: Any, dump: SerializerFunctionWrapHandler) -> Any:
    _complete(value)
    return dump(value)


_AS_IT_IS_WITH_MODELS: Final = core_schema.wrap_serializer_function_ser_schema(_dump, schema=core_schema.any_schema())


def _complete(value: Any) -> None:
    """Make sure that the models in a value can be dumped: before 2.14, pydantic does not complete them when it must."""
    if isinstance(value, Model):
        type(value).model_rebuild()
    elif is_array(value):
        for each in value:
            _complete(each)
    elif is_object(value):
        for each in value.values():
            _complete(each)


def _as_sent(field: FieldInfo, schema: Node) -> Node:
    return noticing(_without_null(field, schema), notice_unknown)


def _without_null(field: FieldInfo, schema: Node) -> Node:
    inner = schema.get("schema", {})
    if schema["type"] != "default" or inner.get("type") != "nullable" or Null in field.metadata:
        return schema
    return {**schema, "schema": inner["schema"]}


class Arguments(BaseModel):
    """The query or header parameters of one operation: nothing beyond what the document declares is accepted."""

    model_config = ConfigDict(
        validate_by_name=True,
        validate_by_alias=False,
        serialize_by_alias=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,
        loc_by_alias=False,
        protected_namespaces=(),
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        return own_fields(handler(source), cls, lambda _, schema: noticing(schema, notice_unknown))


class CommaSeparated:
    """Marks a list that is sent as one string with commas in it, so that no value may contain one."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        joined = core_schema.plain_serializer_function_ser_schema(cls._join, return_schema=core_schema.str_schema())
        return core_schema.no_info_after_validator_function(cls._check, handler(source), serialization=joined)

    @staticmethod
    def _join(values: Iterable[Any]) -> str:
        return ",".join(map(str, values))

    @staticmethod
    def _check(values: list[Any]) -> list[Any]:
        if any(isinstance(value, str) and "," in value for value in values):
            raise pydantic_core.PydanticCustomError(
                "comma", "should be a list of values without commas, which separate them on the wire"
            )
        return values


def attach_info(result: object, info: ResponseInfo) -> None:
    """Remember `info` as the exchange behind `result`, when `result` is a model."""
    if isinstance(result, Model):
        object.__setattr__(result, "_response_info", info)


def tag_of(name: str, alias: str, known: Iterable[str]) -> Callable[[Any], str]:
    """Make the discriminator of a union whose members are told apart by the field `name` (`alias` in JSON).

    A tag that is not `known` selects the union's open member, under the tag `""`. Used by generated code.
    """
    tags = frozenset(known)

    def discriminate(value: Any) -> str:
        if isinstance(value, dict):
            fields = cast(dict[str, object], value)
            tag = fields.get(alias, fields.get(name))
        else:
            tag = getattr(value, name, None)
        return tag if isinstance(tag, str) and tag in tags else ""

    return discriminate


def always_sent(*names: str) -> Any:
    """Make the rule that fields with one possible value are sent although nobody sets them. Used by generated code."""

    def mark(model: BaseModel) -> BaseModel:
        model.__pydantic_fields_set__.update(names)
        return model

    return model_validator(mode="after")(mark)


def require_one_of(*names: str) -> Any:
    """Make the rule that at least one of some fields is given. Used by generated code."""

    def check(model: BaseModel) -> BaseModel:
        if all(getattr(model, name) is None for name in names):
            raise pydantic_core.PydanticCustomError(
                "one_of_required", "at least one of {names} is needed", {"names": _listed(names)}
            )
        return model

    return model_validator(mode="after")(check)


def require_together(*names: str) -> Any:
    """Make the rule that some fields are given together or not at all. Used by generated code."""

    def check(model: BaseModel) -> BaseModel:
        missing = [name for name in names if getattr(model, name) is None]
        if missing and len(missing) < len(names):
            raise pydantic_core.PydanticCustomError(
                "required_together",
                "{names} go together: {missing} is missing",
                {"names": _listed(names), "missing": _listed(missing)},
            )
        return model

    return model_validator(mode="after")(check)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
