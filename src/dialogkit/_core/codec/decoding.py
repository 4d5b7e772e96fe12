"""Answers become results: straight from the bytes, and tolerantly where they differ from the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from dialogkit._core.call import Operation
from dialogkit._core.codec.tolerance import MOST_NOTED, Deviation, Reader, place
from dialogkit._core.errors import ResponseValidationError
from dialogkit._core.events import Drift, DriftHandler
from dialogkit._core.support.callbacks import Guarded
from dialogkit._core.support.json import TooDeepError, charset_of, is_array, is_object, loose_json_of
from dialogkit._core.support.veil import veiled_body

_NAMED = 3  # deviations that an error's message names
_NO_HEADERS: Final[Mapping[str, str]] = {}


def decode(
    operation: Operation[Any],
    content: bytes,
    *,
    strict: bool,
    on_drift: DriftHandler | None,
    request_id: str | None,
    headers: Mapping[str, str] = _NO_HEADERS,
) -> Any:
    """Return the result that an answer of success holds.

    Where the answer differs from the document, the difference is reported and what came is returned: a field that is
    missing is its default or `None`, a value of another type stays as it came, and everything else is converted. An
    empty body is an object in which nothing is given, and so is `null` where something was changed: it has happened.

    Args:
        operation: What was called; its `answer` is `"json"`.
        content: The body of the answer.
        strict: Raise at the first difference instead.
        on_drift: Told of the differences, of each field up to a hundred. When it fails, that is logged, and the call
            succeeds.
        request_id: The platform's id of the request, for the error.
        headers: The answer's headers, for the charset of a body that is not in UTF-8.

    Raises:
        ResponseValidationError: The body is not JSON, or no object where one is due; with `strict`, any difference.
    """
    try:
        result, deviations = _read(operation, content, headers, MOST_NOTED if strict else _wanted(on_drift))
        _check(deviations, strict=strict)
    except _UnusableError as exc:
        raise ResponseValidationError(
            f"{operation.id}: {exc}. Its status was one of success, so what was asked for has happened; the error's "
            f"`body` holds what came. {exc.advice}",
            operation=operation.id,
            body=veiled_body(content),
            request_id=request_id,
        ) from None
    if deviations and on_drift is not None:
        report = Guarded("on_drift", on_drift)
        for each in deviations:
            report(Drift(operation=operation.id, location=place(each.path), message=each.message))
    return result


class _UnusableError(Exception):
    """The answer cannot be returned."""

    def __init__(self, message: str, advice: str = "Report this to the platform, with its `request_id`.") -> None:
        super().__init__(message)
        self.advice = advice


@lru_cache(maxsize=1024)
def _reader(operation: Operation[Any]) -> Reader:
    return Reader(Any if operation.result is None else operation.result())


def _read(
    operation: Operation[Any], content: bytes, headers: Mapping[str, str], most: int
) -> tuple[Any, Sequence[Deviation]]:
    reader = _reader(operation)
    try:
        if _is_nothing(operation, content):
            return _nothing(operation, reader)
        if not _needs_shaping(operation, content):
            try:
                result, deviations = reader.json(content, most)
                if not _may_be_an_envelope(operation, result):
                    return result, deviations
            except ValidationError:
                pass  # told apart below: what is not JSON, and what is of another kind
        value, remarks = _parsed(content, headers)
        result, deviations = _taken(operation, reader, value, most)
    except RecursionError:
        raise _UnusableError("the answer is nested too deeply to be read") from None
    return result, [*remarks, *deviations]


def _taken(operation: Operation[Any], reader: Reader, value: Any, most: int) -> tuple[Any, Sequence[Deviation]]:
    """Return the result that JSON holds, at its top or in one of the envelopes in which it may come."""
    result, deviations = reader.python(_shaped(operation, value), most)
    if _may_be_an_envelope(operation, result) and (inside := _inside(operation, value)) is not None:
        return reader.python(_shaped(operation, inside), most)
    return result, deviations


def _may_be_an_envelope(operation: Operation[Any], result: object) -> bool:
    """Say whether nothing that the document knows stands in a result which may come wrapped."""
    if not operation.also_wrapped_in or not isinstance(result, BaseModel):
        return False
    return result.model_fields_set.isdisjoint(type(result).model_fields)


def _inside(operation: Operation[Any], value: Any) -> Any:
    """Return what an answer holds in one of the properties in which it may be wrapped, `None` if nothing."""
    found = map(value.get, operation.also_wrapped_in) if is_object(value) else ()
    return next((each for each in found if is_object(each) or (operation.items is not None and is_array(each))), None)


def _wanted(on_drift: DriftHandler | None) -> int:
    """Return how many places of each field are wanted: whoever says a thing once for all rows needs one of them."""
    if on_drift is None:
        return 0
    return 1 if getattr(on_drift, "says_once", False) else MOST_NOTED


def _check(deviations: Sequence[Deviation], *, strict: bool) -> None:
    unusable = next((each.message for each in deviations if each.raw and not each.path), None)
    if unusable is not None:
        raise _UnusableError(f"the answer is not what the document promises: {unusable}")
    if strict and deviations:
        raise _UnusableError(
            _summary(deviations), "Correct the document, or call without `strict` to take the answer as it is."
        )


def _is_nothing(operation: Operation[Any], content: bytes) -> bool:
    """Say whether a body says nothing. `null` does, except to somebody who asked for something."""
    return not content or content.isspace() or (operation.method != "GET" and content.strip() == b"null")


def _nothing(operation: Operation[Any], reader: Reader) -> tuple[Any, Sequence[Deviation]]:
    expected = None if operation.result is None else operation.result()
    result, deviations = reader.python([] if get_origin(expected) is list else {})
    if not deviations:  # where nothing has to be given, nothing is an answer
        return result, ()
    return result, [Deviation((), "The answer is empty", raw=False), *deviations]


def _needs_shaping(operation: Operation[Any], content: bytes) -> bool:
    if operation.unwrap is not None:
        return True
    first = content[:64].lstrip()[:1]
    return (operation.items is not None and first == b"[") or (operation.single_as_list and first == b"{")


def _shaped(operation: Operation[Any], value: Any) -> Any:
    if operation.unwrap is not None and is_object(value):
        wrapped = value.get(operation.unwrap)
        value = wrapped if is_object(wrapped) else value
    if operation.items is not None and is_array(value):
        return {operation.items: value}
    if operation.single_as_list and is_object(value):
        return [value]
    return value


def _summary(deviations: Sequence[Deviation]) -> str:
    named = "; ".join(f"{place(each.path) or 'the whole'}: {each.message}" for each in deviations[:_NAMED])
    count = len(deviations)
    places = "1 place" if count == 1 else f"{count} places"
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return f"the answer differs from the document in {places} ({named}{more})"


def _parsed(content: bytes, headers: Mapping[str, str]) -> tuple[Any, Sequence[Deviation]]:
    """Return the JSON in a body, and a remark if it breaks the rules in ways that lose nothing but a character."""
    try:
        return from_json(content), ()
    except ValueError:
        pass
    try:
        value = loose_json_of(content, charset_of(headers))
    except TooDeepError:
        raise RecursionError from None
    except ValueError:
        raise _UnusableError(f"the answer is not JSON but {_kind(content)}") from None
    message = "Not plain JSON (odd characters, a huge number or great depth); read leniently"
    return value, (Deviation((), message, raw=False),)


def _kind(content: bytes) -> str:
    start = content.lstrip()[:64].lower()
    return "an HTML page" if start.startswith((b"<!doctype", b"<html")) else "something else"
