"""A call becomes a request: arguments are checked, filled in, and written down as URL, headers and body."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Final, TypeVar, cast

from pydantic import TypeAdapter

from dialogkit._core.call import OMIT, AnswerKind, Call, CallOptions, Operation, Position
from dialogkit._core.codec.arguments import invalid, validate
from dialogkit._core.codec.text import header, pairs, path, scalar
from dialogkit._core.errors import ConfigurationError
from dialogkit._core.files.uploads import FileInput, MultipartBody
from dialogkit._core.http.over_httpx import origin_and_target
from dialogkit._core.http.transport import Origin, Request
from dialogkit._core.http.urls import check_url
from dialogkit._core.lists.cursors import decode_cursor
from dialogkit._core.sending.settings import Settings
from dialogkit._core.support.checks import nearest
from dialogkit._core.support.version import version

_ACCEPT: Final[Mapping[AnswerKind, str]] = {
    "json": "application/json",
    "none": "application/json",
    "text": "text/plain",
    "bytes": "*/*",
    "raw": "*/*",
}
T = TypeVar("T")
_ANY: Final[TypeAdapter[Any]] = TypeAdapter(Any)
_CONNECTIONS_OWN: Final = frozenset({"host", "connection", "transfer-encoding", "content-length"})


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

    @property
    def length(self) -> int | None:
        """Bytes in total, if known."""
        return self._body.length if isinstance(self._body, MultipartBody) else None

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._started = True
        return aiter(self._body)


class Encoded:
    """A request without its credential, ready to be made anew for each attempt."""

    __slots__ = ("_content", "_headers", "_origin", "_target", "account", "advice", "elsewhere", "operation")

    def __init__(
        self,
        operation: Operation[Any],
        where: tuple[Origin, str],
        headers: dict[str, str],
        content: bytes | BodyStream | None,
        account: str | None,
    ) -> None:
        self.operation = operation
        self.account = account
        self.advice: str | None = None
        self.elsewhere = not operation.path.startswith("/")
        """Whether it goes to a complete URL, and not below the client's own."""
        self._origin, self._target = where
        self._headers = headers
        self._content = content

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent from its beginning."""
        return not isinstance(self._content, BodyStream) or self._content.replayable

    def request(self, credential: Mapping[str, str]) -> Request:
        """Make the request of one attempt; `credential` wins over every other header."""
        headers = self._headers.copy()
        for name, value in credential.items():
            headers[name.lower()] = value
        return Request(
            self.operation.method, self._origin, self._target, headers, self._content, elsewhere=self.elsewhere
        )

    def __repr__(self) -> str:
        return f"<Encoded {self.operation.id}>"


def with_checked_options(call: Call[T]) -> Call[T]:
    """Return `call` with its options as `CallOptions`, for which a plain mapping may stand.

    Raises:
        InvalidArgumentError: They are something else, or name what there is not.
    """
    given: object = call.options
    if given is None or isinstance(given, CallOptions):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        return call
    operation = call.operation.id
    if not isinstance(given, Mapping):
        raise invalid(operation, "options", f"should be CallOptions or a mapping, not a {type(given).__name__}")
    fields = cast("Mapping[str, Any]", given)
    known = CallOptions.__dataclass_fields__
    for name in fields:
        if name not in known:
            raise invalid(operation, f"options.{name}", f"is unknown{nearest(name, known)}")
    return replace(call, options=CallOptions(**fields))


def encode(call: Call[Any], settings: Settings) -> Encoded:
    """Check a call's arguments and write them down.

    Raises:
        InvalidArgumentError: An argument is of the wrong type or outside its limits.
        ConfigurationError: The client lacks a value that the call needs, or its URL is not safe.
    """
    operation = call.operation
    filled = _filled(call, settings)
    query = _query(call, filled["query"])
    target = _path(operation, {**call.path, **filled["path"]})
    kind, content = _body(call, filled["body"])
    return Encoded(
        operation,
        _where(f"{target}?{query}" if query else target, settings),
        _headers(call, settings, kind, content),
        content,
        _account(call, settings),
    )


def encode_link(url: str, *, allow_insecure: bool) -> Encoded:
    """Write down a GET of a complete URL, which nothing is added to.

    Raises:
        ConfigurationError: The URL is none, or not safe.
    """
    target = check_url(url, allow_insecure=allow_insecure)
    operation = Operation[Any](
        id="download",
        method="GET",
        path=f"{target.scheme}://{target.netloc.decode('ascii')}/...",  # the rest may be as good as a credential
        retry="safe",
        answer="bytes",
        authenticated=False,
    )
    headers = {"user-agent": _user_agent(), "accept": "*/*", "accept-encoding": "identity"}
    encoded = Encoded(operation, origin_and_target(target), headers, None, None)
    encoded.advice = "The link may be wrong or have expired: get a new one"
    return encoded


def _where(target: str, settings: Settings) -> tuple[Origin, str]:
    """Return where a request goes: below the base URL, except for the few operations whose path is a whole URL."""
    if not target.startswith("/"):
        return origin_and_target(check_url(target, allow_insecure=settings.allow_insecure))
    origin, prefix = _base(settings.base_url, settings.allow_insecure)
    return origin, prefix + target


@lru_cache(maxsize=64)
def _base(url: str, allow_insecure: bool) -> tuple[Origin, str]:
    """Parse a base URL once: what is appended to it is written so that it cannot change where it leads."""
    origin, path_of_it = origin_and_target(check_url(url, allow_insecure=allow_insecure))
    return origin, path_of_it.rstrip("/")


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


def _account(call: Call[Any], settings: Settings) -> str | None:
    """Return the account that a call is about: the one that it names, else the client's own."""
    if call.operation.account is not None:
        place, name = call.operation.account
        given = call.path if place == "path" else call.query if place == "query" else call.body
        if isinstance(given, dict) or isinstance(given, Mapping):  # noqa: SIM101 - most are dicts; the other test is slow
            account = cast("Mapping[str, Any]", given).get(name)
            if isinstance(account, str):
                return account
    default = settings.platform.defaults.get(settings.platform.account or "")
    return None if default is None else default.value


def _path(operation: Operation[Any], given: Mapping[str, Any]) -> str:
    adapter = operation.path_adapter
    if adapter is not None:
        checked = validate(adapter, given, operation=operation.id)
        values = adapter.dump_python(checked, mode="json")
        given = {name: scalar(operation.id, name, value) for name, value in values.items()}
    return path(operation.id, operation.path, given)


def _query(call: Call[Any], filled: Mapping[str, Any]) -> str:
    operation = call.operation
    given = {name: value for name, value in call.query.items() if value is not None and value is not OMIT}
    if call.resume is not None:
        given |= _position(operation, call.resume).arguments
    given |= filled
    if not given:
        adapter = operation.query_adapter  # a required argument may be missing
        return "" if adapter is None else _written(operation, adapter, given)
    if operation.query_adapter is None:
        return pairs(operation.id, given)
    return _written(operation, operation.query_adapter, given)


def _position(operation: Operation[Any], resume: str | Position) -> Position:
    if isinstance(resume, Position):
        return resume
    return decode_cursor(operation.id, resume, function=operation.function)


def _written(operation: Operation[Any], adapter: TypeAdapter[Any], given: Mapping[str, Any]) -> str:
    checked = validate(adapter, given, operation=operation.id)
    return pairs(operation.id, adapter.serializer.to_python(checked, mode="json", by_alias=True, exclude_unset=True))


def _body(call: Call[Any], filled: Mapping[str, Any]) -> tuple[str | None, bytes | BodyStream | None]:
    """Return the body and its content type."""
    operation, given = call.operation, call.body
    if isinstance(given, RawBody):
        content = given.content
        return None, content if isinstance(content, bytes) else BodyStream(content)
    if given is OMIT:
        if not filled:
            return None, None
        given = {}
    if isinstance(given, Mapping):
        fields = {**cast("Mapping[str, Any]", given), **filled}
        given = {name: value for name, value in fields.items() if value is not OMIT}
    if operation.encoding == "multipart":
        body = _multipart(call, given)
        return body.content_type, BodyStream(body)
    adapter = operation.body_adapter or _ANY
    value = validate(adapter, given, operation=operation.id)
    if operation.encoding == "form":
        plain = adapter.dump_python(value, mode="json", by_alias=True, exclude_unset=True)
        return "application/x-www-form-urlencoded", pairs(operation.id, plain).encode("ascii")
    try:
        return "application/json", adapter.dump_json(value, by_alias=True, exclude_unset=True)
    except ValueError as exc:  # pydantic's own errors are ValueErrors
        kind = type(exc).__name__
    raise invalid(operation.id, "the body", f"cannot be written as JSON ({kind})")


def _multipart(call: Call[Any], given: Any) -> MultipartBody:
    operation = call.operation
    adapter = operation.body_adapter
    checked = validate(adapter or _ANY, given, operation=operation.id)
    given = cast("Mapping[str, Any]", given)
    spelling = {_wire_name(checked, argument): argument for argument in operation.files}
    files = [
        (name, each) for name, argument in spelling.items() for each in _each(given.get(argument)) if each is not None
    ]
    plain: Mapping[str, object] = (
        {name: value for name, value in given.items() if name not in operation.files}
        if adapter is None
        else adapter.dump_python(checked, mode="json", by_alias=True, exclude_unset=True, exclude=set(operation.files))
    )
    texts = [
        (name, text)
        for name, value in plain.items()
        for each in _each(value)
        if (text := scalar(operation.id, name, each)) is not None
    ]
    parts = cast("list[tuple[str, FileInput]]", files)
    return MultipartBody(texts, parts, call.on_progress, operation=operation.id, spelling=spelling)


def _each(value: object) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list | tuple) else (value,)


def _wire_name(model: object, argument: str) -> str:
    info = getattr(type(model), "model_fields", {}).get(argument)
    return argument if info is None else info.serialization_alias or info.alias or argument


def _headers(call: Call[Any], settings: Settings, kind: str | None, content: object) -> dict[str, str]:
    """Return the headers under lower-case names, without the credential. Later ones win over earlier ones."""
    operation, options, platform = call.operation, call.options, settings.platform
    further = tuple(platform.headers.items()) if platform.headers else ()
    headers = dict(_fixed_headers(operation.id, operation.answer, further, platform.version_header, platform.version))
    if options is not None and options.api_version is not None and platform.version_header is not None:
        _add(headers, operation.id, {platform.version_header: options.api_version})
    if kind is not None:
        headers["content-type"] = kind
    if isinstance(content, BodyStream) and content.length is not None:
        headers["content-length"] = str(content.length)
    if call.headers or operation.headers is not None:
        _add(headers, operation.id, _header_arguments(call))
    if options is not None and options.headers is not None:
        _add(headers, operation.id, options.headers)
    return headers


@lru_cache(maxsize=1024)
def _fixed_headers(
    operation: str,
    answer: AnswerKind,
    further: tuple[tuple[str, str], ...],
    version_header: str | None,
    version: str | None,
) -> Mapping[str, str]:
    """Return the headers that all calls of an operation have in common."""
    headers = {
        "user-agent": _user_agent(),
        "accept": _ACCEPT[answer],
        # Files come as they are, so that sizes and progress are the files' own.
        "accept-encoding": "identity" if answer == "bytes" else "gzip, deflate",
    }
    _add(headers, operation, dict(further))
    if version_header is not None and version is not None:
        _add(headers, operation, {version_header: version})
    return headers


def _add(headers: dict[str, str], operation: str, more: Mapping[str, str]) -> None:
    for name, value in more.items():
        if name.lower() in _CONNECTIONS_OWN:
            raise invalid(operation, f"the header {name}", "is made by the connection and cannot be given")
        headers[name.lower()] = header(operation, name, value)


def _header_arguments(call: Call[Any]) -> dict[str, str]:
    operation = call.operation
    given = {name: value for name, value in call.headers.items() if value is not None and value is not OMIT}
    adapter = operation.headers_adapter
    if adapter is not None:
        checked = validate(adapter, given, operation=operation.id)
        given = adapter.dump_python(checked, mode="json", by_alias=True, exclude_unset=True)
    texts = ((name.lower(), scalar(operation.id, name, value)) for name, value in given.items())
    return {name: text for name, text in texts if text is not None}


@cache
def _user_agent() -> str:
    return f"dialogkit/{version()} python/{sys.version_info[0]}.{sys.version_info[1]}"
