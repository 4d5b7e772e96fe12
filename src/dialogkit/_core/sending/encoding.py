"""A call becomes a request: arguments are checked, filled in, and written down as URL, headers and body."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import httpx
from pydantic import TypeAdapter
from pydantic_core import to_json

from dialogkit._core.call import OMIT, Call, Operation
from dialogkit._core.errors import ConfigurationError, InvalidArgumentError
from dialogkit._core.pagination import decode_cursor
from dialogkit._core.sending.arguments import invalid, validate
from dialogkit._core.sending.settings import Settings, check_url
from dialogkit._core.uploads import FileInput, MultipartBody

_VERSION: Final = "0.1.0"
USER_AGENT: Final = f"dialogkit/{_VERSION} python/{sys.version_info[0]}.{sys.version_info[1]}"
_ACCEPT: Final = {"json": "application/json", "none": "application/json", "text": "text/plain", "bytes": "*/*", "raw": "*/*"}
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TRANSPORTS_OWN: Final = frozenset({"host", "connection", "transfer-encoding", "content-length"})


@dataclass(frozen=True)
class RawBody:
    """A request body that is sent as it is."""

    content: bytes | AsyncIterable[bytes]


class BodyStream:
    """A body that is read while it is sent, and remembers whether it can be sent again."""

    __slots__ = ("_body", "_started")

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body
        self._started = False

    @property
    def replayable(self) -> bool:
        """Whether it can be sent from its beginning."""
        return self._body.replayable if isinstance(self._body, MultipartBody) else not self._started

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._started = True
        return aiter(self._body)


class Encoded:
    """A request without its credential, ready to be made anew for each attempt."""

    __slots__ = ("_content", "_headers", "_url", "location_id", "operation")

    def __init__(
        self,
        operation: Operation[Any],
        url: httpx.URL,
        headers: Mapping[str, bytes],
        content: bytes | BodyStream | None,
        location_id: str | None,
    ) -> None:
        self.operation = operation
        self.location_id = location_id
        self._url = url
        self._headers = headers
        self._content = content

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent from its beginning."""
        return not isinstance(self._content, BodyStream) or self._content.replayable

    def request(self, credential: Mapping[str, str]) -> httpx.Request:
        """Make the request of one attempt; `credential` wins over every other header."""
        headers = {**self._headers, **{name.lower(): _header(name, value) for name, value in credential.items()}}
        pairs = [(name.encode("ascii"), value) for name, value in headers.items()]
        return httpx.Request(self.operation.method, self._url, headers=pairs, content=self._content)

    def __repr__(self) -> str:
        return f"<Encoded {self.operation.id}>"


def encode(call: Call[Any], settings: Settings) -> Encoded:
    """Check a call's arguments and write them down.

    Raises:
        InvalidArgumentError: An argument is of the wrong type or outside its limits.
        ConfigurationError: The client lacks a value that the call needs, or its URL is not safe.
    """
    operation = call.operation
    filled = _filled(call, settings)
    path = _path(operation, {**call.path, **filled["path"]})
    query = _query(call, filled["query"])
    url = settings.base_url.rstrip("/") + path + (f"?{query}" if query else "")
    kind, content = _body(call, filled["body"])
    return Encoded(
        operation,
        check_url(url, allow_insecure=settings.allow_insecure),
        _headers(call, settings, kind, content),
        content,
        _location(call, settings),
    )


def _filled(call: Call[Any], settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the client's values for arguments that the call leaves out, by where they belong."""
    filled: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "body": {}}
    places = {"path": call.path, "query": call.query, "body": call.body}
    operation = call.operation
    for name, place in operation.from_client.items():
        given = places[place]
        if isinstance(given, Mapping) and cast("Mapping[str, Any]", given).get(name, OMIT) not in (None, OMIT):
            continue
        default = settings.platform.defaults.get(name)
        if default is not None and default.value is not None:
            filled[place][name] = default.value
        elif name in operation.required_from_client or place == "path":
            how = "" if default is None else f", {default.keyword}= to {settings.platform.name}, or set {default.env}"
            raise ConfigurationError(f"{operation.id} needs {name}: pass {name}= to the call{how}. Nothing was sent.")
        elif place == "body":
            filled[place][name] = OMIT
    return filled


def _location(call: Call[Any], settings: Settings) -> str | None:
    """Return the location that a call concerns."""
    for given in (call.path, call.query, call.body):
        if isinstance(given, Mapping):
            location = cast("Mapping[str, Any]", given).get("location_id")
            if isinstance(location, str):
                return location
    default = settings.platform.defaults.get("location_id")
    return None if default is None else default.value


@lru_cache(maxsize=1024)
def _template(path: str) -> tuple[str, ...]:
    """Return a path's template as literal, name, literal, name, ..., literal."""
    return tuple(_PLACEHOLDER.split(path))


def _path(operation: Operation[Any], given: Mapping[str, Any]) -> str:
    parts = list(_template(operation.path))
    names = _path_names(parts[1::2], given)
    for number, name in enumerate(names):
        parts[2 * number + 1] = _segment(operation.id, name, given.get(name))
    return "".join(parts)


def _path_names(placeholders: list[str], given: Mapping[str, Any]) -> list[str]:
    """Return the arguments that belong in a template: `{conversationId}` takes `conversation_id`."""
    known = {name.replace("_", "").lower(): name for name in given}
    names = [known.pop(each.replace("_", "").replace("-", "").lower(), None) for each in placeholders]
    rest = iter(known.values())  # those that the document has renamed stand in their order
    return [name if name is not None else next(rest, each) for name, each in zip(names, placeholders, strict=True)]


def _segment(operation: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise invalid(operation, name, f"should be a string, not a value of type {type(value).__name__}")
    if not value or value in {".", ".."}:
        raise invalid(operation, name, "should be an id: it stands in the path of the URL, and must not be empty or dots")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise invalid(operation, name, "should be valid Unicode") from None


def _query(call: Call[Any], filled: Mapping[str, Any]) -> str:
    operation = call.operation
    given = {name: value for name, value in call.query.items() if value is not None and value is not OMIT}
    if call.resume is not None:
        given |= decode_cursor(operation.id, call.resume)
    given |= filled
    if not given:
        adapter = operation.query_adapter  # a required argument may be missing
        return "" if adapter is None else _written(operation, adapter, given)
    if operation.query_adapter is None:
        return _pairs(operation.id, given)
    return _written(operation, operation.query_adapter, given)


def _written(operation: Operation[Any], adapter: TypeAdapter[Any], given: Mapping[str, Any]) -> str:
    checked = validate(adapter, given, operation=operation.id)
    return _pairs(operation.id, adapter.dump_python(checked, mode="json", by_alias=True, exclude_unset=True))


def _pairs(operation: str, fields: Mapping[str, Any]) -> str:
    """Write a query or a form: a list repeats its name, an absent value is left out."""
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        values = cast("list[Any] | tuple[Any, ...]", value) if isinstance(value, list | tuple) else (value,)
        pairs += [(name, text) for each in values if (text := scalar(operation, name, each)) is not None]
    try:
        return urlencode(pairs, quote_via=quote)
    except UnicodeEncodeError:
        raise InvalidArgumentError(
            f"{operation}: a query argument is not valid Unicode. Nothing was sent.", operation=operation, argument="query"
        ) from None


def scalar(operation: str, name: str, value: Any) -> str | None:
    """Return a value as the text that stands for it in a URL, a form or a header; `None` if there is none."""
    if value is None or value is OMIT:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _decimal(operation, name, value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise invalid(operation, name, f"cannot be written as text: it is of type {type(value).__name__}")


def _decimal(operation: str, name: str, value: float) -> str:
    if value - value != 0.0:  # infinite, or no number
        raise invalid(operation, name, f"should be a finite number, not {value!r}")
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    return text if "e" not in text else f"{value:.{17 - int(text.partition('e')[2])}f}".rstrip("0")


def _body(call: Call[Any], filled: Mapping[str, Any]) -> tuple[str | None, bytes | BodyStream | None]:
    """Return the body and its content type."""
    operation, given = call.operation, call.body
    if isinstance(given, RawBody):
        content = given.content
        return None, content if isinstance(content, bytes) else BodyStream(content)
    if isinstance(given, Mapping):
        fields = {**cast("Mapping[str, Any]", given), **filled}
        given = {name: value for name, value in fields.items() if value is not OMIT}
    if given is OMIT and not filled:
        return None, None
    if operation.encoding == "multipart":
        body = _multipart(call, given)
        return body.content_type, BodyStream(body)
    adapter = operation.body_adapter
    value = given if adapter is None else validate(adapter, given, operation=operation.id)
    if operation.encoding == "form":
        plain = value if adapter is None else adapter.dump_python(value, mode="json", by_alias=True, exclude_unset=True)
        return "application/x-www-form-urlencoded", _pairs(operation.id, plain).encode("ascii")
    return "application/json", _json(operation.id, adapter, value)


def _json(operation: str, adapter: TypeAdapter[Any] | None, value: Any) -> bytes:
    """Write JSON; what cannot be written is the caller's doing, and must not reach the platform as `NaN`."""
    try:
        if adapter is None:
            return to_json(value, by_alias=True, inf_nan_mode="null")
        return adapter.dump_json(value, by_alias=True, exclude_unset=True)
    except ValueError as exc:  # pydantic's own errors are ValueErrors
        kind = type(exc).__name__
    raise invalid(operation, "body", f"cannot be written as JSON ({kind})")


def _multipart(call: Call[Any], given: Any) -> MultipartBody:
    operation = call.operation
    adapter = operation.body_adapter
    checked = given if adapter is None else validate(adapter, given, operation=operation.id)
    exclude = set(operation.files)
    fields = cast("Mapping[str, Any]", given)
    files: list[tuple[str, FileInput]] = []
    for argument in operation.files:
        value: Any = fields.get(argument)
        wire = _wire_name(checked, argument)
        several = cast("list[FileInput]", value) if isinstance(value, list) else [value]
        files += [(wire, each) for each in several if each is not None]
    plain = (
        {name: value for name, value in fields.items() if name not in exclude}
        if adapter is None
        else adapter.dump_python(checked, mode="json", by_alias=True, exclude_unset=True, exclude=exclude)
    )
    texts = [
        (name, text)
        for name, value in plain.items()
        for each in (value if isinstance(value, list) else [value])
        if (text := scalar(operation.id, name, each)) is not None
    ]
    return MultipartBody(texts, files, call.on_progress, operation=operation.id)


def _wire_name(model: object, argument: str) -> str:
    info = getattr(type(model), "model_fields", {}).get(argument)
    return argument if info is None else info.serialization_alias or info.alias or argument


def _headers(call: Call[Any], settings: Settings, kind: str | None, content: object) -> dict[str, bytes]:
    """Return the headers, later ones winning over earlier ones, without the credential."""
    operation, options, platform = call.operation, call.options, settings.platform
    headers: dict[str, str] = {
        "user-agent": USER_AGENT,
        "accept": _ACCEPT[operation.answer],
        # bytes arrive as they are, so that progress and size are those of the file
        "accept-encoding": "identity" if operation.answer == "bytes" else "gzip, deflate",
    }
    headers |= {name.lower(): value for name, value in platform.headers.items()}
    version = platform.version if options is None or options.api_version is None else options.api_version
    if platform.version_header is not None and version is not None:
        headers[platform.version_header.lower()] = version
    if kind is not None:
        headers["content-type"] = kind
    headers |= _header_arguments(call)
    if options is not None and options.headers is not None:
        headers |= _free_headers(operation.id, options.headers)
    if isinstance(content, BodyStream) and (length := content_length(call, content)) is not None:
        headers["content-length"] = str(length)
    return {name: _header(name, value, operation.id) for name, value in headers.items()}
