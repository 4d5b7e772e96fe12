"""Answers become results: straight from the bytes when they are as documented, piece by piece when they are not."""

from __future__ import annotations

import json
import re
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from dialogkit._core.call import Operation
from dialogkit._core.codec.tolerance import Deviation, build, place
from dialogkit._core.errors import ResponseValidationError
from dialogkit._core.events import Drift, DriftHandler
from dialogkit._core.support.callbacks import Guarded

_NAMED = 3  # deviations that an error's message names
_SURROGATES = re.compile(
    r"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def decode(
    operation: Operation[Any],
    content: bytes,
    *,
    strict: bool,
    on_drift: DriftHandler | None,
    request_id: str | None,
) -> Any:
    """Return the result that an answer holds.

    An empty body is an object in which nothing is given, where nothing has to be.

    Where the answer differs from the document, the difference is reported and what came is returned: a field that is
    missing is its default or `None`, a value of another type stays as it came, and everything else is converted.

    Args:
        operation: What was called; its `answer` is `"json"`.
        content: The body of the answer.
        strict: Raise at the first difference instead.
        on_drift: Told of every difference. When it fails, that is logged, and the call succeeds.
        request_id: The platform's id of the request, for the error.

    Raises:
        ResponseValidationError: The body is not JSON, or no object where one is due; with `strict`, any difference.
    """
    if (not content or content.isspace()) and _may_be_empty(operation):
        return operation.result_adapter.validate_python({})
    if not _needs_shaping(operation, content):
        try:
            result = operation.result_adapter.validator.validate_json(content)
            if not (operation.also_wrapped_in and _says_nothing(result)):
                return result
        except ValidationError:
            pass  # told apart below: what is not JSON, and what is merely different
    try:
        return _decode_slowly(operation, content, strict=strict, on_drift=on_drift)
    except _UnusableError as exc:
        raise ResponseValidationError(
            f"{operation.id}: {exc}. Its status was one of success; the error's `body` holds what came. {exc.advice}",
            operation=operation.id,
            body=content,
            request_id=request_id,
        ) from None


class _UnusableError(Exception):
    """The answer cannot be returned."""

    def __init__(self, message: str, advice: str = "Report this to the platform, with its `request_id`.") -> None:
        super().__init__(message)
        self.advice = advice


def _may_be_empty(operation: Operation[Any]) -> bool:
    """Say whether a 204 will do: some platforms answer a deletion with an object, others with nothing at all."""
    model = None if operation.result is None else operation.result()
    if not isinstance(model, type) or not issubclass(model, BaseModel):
        return False
    model.model_rebuild()
    return not any(field.is_required() for field in model.model_fields.values())


def _needs_shaping(operation: Operation[Any], content: bytes) -> bool:
    if operation.unwrap is not None:
        return True
    first = content[:64].lstrip()[:1]
    return (operation.items is not None and first == b"[") or (operation.single_as_list and first == b"{")


def _shape(operation: Operation[Any], value: Any) -> Any:
    if operation.unwrap is not None and isinstance(value, dict):
        wrapped = cast("dict[str, Any]", value).get(operation.unwrap)
        value = cast("Any", wrapped if isinstance(wrapped, dict) else value)
    if operation.items is not None and isinstance(value, list):
        return {operation.items: cast("list[object]", value)}
    if operation.single_as_list and isinstance(value, dict):
        return [value]
    return value


def _says_nothing(result: object) -> bool:
    """Say whether nothing of what the document knows stands in a result: it may be the envelope around it."""
    return isinstance(result, BaseModel) and result.model_fields_set.isdisjoint(type(result).model_fields)


def _inside(operation: Operation[Any], value: Any) -> Any:
    """Return what an answer holds in one of the other properties in which it may be wrapped, `None` if nothing."""
    if not isinstance(value, dict):
        return None
    kinds = dict if operation.items is None else (dict, list)
    found = map(cast("dict[str, object]", value).get, operation.also_wrapped_in)
    return next((each for each in found if isinstance(each, kinds)), None)


def _built(operation: Operation[Any], value: Any, deviations: list[Deviation]) -> Any:
    return value if operation.result is None else build(operation.result(), value, deviations)


def _decode_slowly(operation: Operation[Any], content: bytes, *, strict: bool, on_drift: DriftHandler | None) -> Any:
    deviations: list[Deviation] = []
    try:
        value = _shape(operation, _parse(content, deviations))
        result = _built(operation, value, deviations)
        inside = _inside(operation, value) if operation.also_wrapped_in and _says_nothing(result) else None
        if inside is not None:
            deviations.clear()
            result = _built(operation, _shape(operation, inside), deviations)
    except RecursionError:
        raise _UnusableError("the answer is nested too deeply to be read") from None
    if not deviations:
        return result
    unusable = next((each.message for each in deviations if each.raw and not each.path), None)
    if unusable is not None:
        raise _UnusableError(f"the answer is not what the document promises: {unusable}")
    if strict:
        raise _UnusableError(
            _summary(deviations), "Correct the document, or call without `strict` to take the answer as it is."
        )
    if on_drift is not None:
        report = Guarded("on_drift", on_drift)
        for each in deviations:
            report(Drift(operation=operation.id, location=place(each.path), message=each.message))
    return result


def _summary(deviations: list[Deviation]) -> str:
    named = "; ".join(f"{place(each.path) or 'the whole'}: {each.message}" for each in deviations[:_NAMED])
    count = len(deviations)
    places = "1 place" if count == 1 else f"{count} places"
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return f"the answer differs from the document in {places} ({named}{more})"


def _parse(content: bytes, deviations: list[Deviation]) -> Any:
    """Read JSON, also where it breaks the rules in ways that lose nothing but a character."""
    try:
        return from_json(content)
    except ValueError:
        pass
    if not content.strip():
        raise _UnusableError("the answer is empty where JSON is due")
    text = _SURROGATES.sub(_replace_lone, content.decode("utf-8-sig", "replace"))
    try:
        value = json.loads(text, parse_int=_parse_int)
    except ValueError:
        raise _UnusableError(f"the answer is not JSON but {_kind(content)}") from None
    message = "Not plain JSON (odd characters, a huge number or great depth); read leniently"
    deviations.append(Deviation((), message, raw=False))
    return value


def _replace_lone(match: re.Match[str]) -> str:
    return "\\ufffd" if match["lone"] else match[0]


def _parse_int(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits  # longer than Python converts


def _kind(content: bytes) -> str:
    start = content.lstrip()[:64].lower()
    return "an HTML page" if start.startswith((b"<!doctype", b"<html")) else "something else"
