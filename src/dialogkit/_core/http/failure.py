"""What is true about a request that got no answer.

The libraries' exceptions are read in one place, here, and not trusted where they are known to lie: httpx-aiohttp 0.2
calls a connection that was dropped *after* the request had been read a `ConnectTimeout`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Final, NamedTuple

import httpx


class TransportFailure(Exception):  # noqa: N818 - it is no error yet: the sender decides what becomes of it
    """No answer came, or only a part of it. Its message, and its chain of causes, carry no secret."""

    sent: bool
    """Whether the request may have reached the server; `False` means that it certainly did not."""
    timed_out: bool
    reason: str
    """What happened, as a clause for messages."""

    def __init__(self, reason: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.timed_out = timed_out


class _Truth(NamedTuple):
    sent: bool
    timed_out: bool
    clause: str


_NO_CONNECTION: Final = _Truth(sent=False, timed_out=False, clause="no connection could be made")
_NO_CONNECTION_IN_TIME: Final = _Truth(sent=False, timed_out=True, clause="no connection was made within the timeout")
_NO_PROXY: Final = _Truth(sent=False, timed_out=False, clause="the proxy made no connection")
_NO_ANSWER_IN_TIME: Final = _Truth(
    sent=True, timed_out=True, clause="the server was silent for longer than the timeout"
)
_NO_VALID_REQUEST: Final = _Truth(sent=True, timed_out=False, clause="the request is no valid HTTP")
_BROKEN: Final = _Truth(sent=True, timed_out=False, clause="the connection broke")

# The first match counts. What is not listed may have been sent.
_BY_TYPE: Final[tuple[tuple[type[Exception], _Truth], ...]] = (
    (httpx.ConnectError, _NO_CONNECTION),
    (httpx.ConnectTimeout, _NO_CONNECTION_IN_TIME),
    (httpx.PoolTimeout, _Truth(sent=False, timed_out=True, clause="no connection became free within the timeout")),
    (httpx.ProxyError, _NO_PROXY),
    (httpx.UnsupportedProtocol, _Truth(sent=False, timed_out=False, clause="the URL is neither http nor https")),
    (httpx.InvalidURL, _Truth(sent=False, timed_out=False, clause="the URL is invalid")),
    (
        httpx.WriteTimeout,
        _Truth(sent=True, timed_out=True, clause="the server did not take the request within the timeout"),
    ),
    (httpx.DecodingError, _Truth(sent=True, timed_out=False, clause="the answer could not be decompressed")),
    (httpx.LocalProtocolError, _NO_VALID_REQUEST),
    (httpx.TimeoutException, _NO_ANSWER_IN_TIME),
    (asyncio.TimeoutError, _NO_ANSWER_IN_TIME),
    (TimeoutError, _NO_ANSWER_IN_TIME),
)
_OWN: Final = (httpx.HTTPError, httpx.InvalidURL)
# Plain `OSError` is not among them: a request body that is read from a file may raise it, and means something else.
_LEAKED: Final = (ConnectionError, ssl.SSLError, TimeoutError, asyncio.TimeoutError)
_LEAKING_PACKAGES: Final = frozenset({"aiohttp", "anyio", "h11", "h2", "httpcore", "trio"})


def is_transport_error(exc: Exception) -> bool:
    """Tell whether `exc` is about the network, and not a fault of the caller's or of the package."""
    return isinstance(exc, (*_OWN, *_LEAKED)) or _package(exc) in _LEAKING_PACKAGES


def failure_from(exc: Exception, *, answered: bool = False) -> TransportFailure:
    """Return what `exc` means, as a failure that holds nothing of it.

    Args:
        exc: What a library raised for a request, or while its answer was read.
        answered: The answer had begun, so that the request was sent, whatever `exc` says.
    """
    sent, timed_out, clause = _truth(exc)
    reason = clause if timed_out else f"{clause} ({_detail(exc, sent=sent)})"
    return TransportFailure(reason, sent=sent or answered, timed_out=timed_out)


def _truth(exc: Exception) -> _Truth:
    suspect = exc.__cause__ if isinstance(exc, (httpx.ConnectError, httpx.TimeoutException)) else exc
    if isinstance(suspect, Exception) and _package(suspect) == "aiohttp":
        return _aiohttp_truth(suspect)
    if _package(exc) == "h11" and type(exc).__name__ == "LocalProtocolError":  # httpx lets it pass
        return _NO_VALID_REQUEST
    return next((truth for kind, truth in _BY_TYPE if isinstance(exc, kind)), _BROKEN)


def _aiohttp_truth(exc: Exception) -> _Truth:
    import aiohttp  # noqa: PLC0415 - it raised `exc`, so it is loaded; importing this module must not load it

    if isinstance(exc, (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError)):
        return _NO_PROXY
    if isinstance(exc, (aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.InvalidURL)):
        return _NO_CONNECTION
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return _NO_CONNECTION_IN_TIME
    return _NO_ANSWER_IN_TIME if isinstance(exc, asyncio.TimeoutError) else _BROKEN


def _detail(exc: Exception, *, sent: bool) -> str:
    """Return the operating system's words if there are any, else the exception's name.

    Texts of libraries are not quoted: they name the URL with its query, or the header that they find illegal.
    """
    causes = list(_chain(exc))
    refusals = [cause for cause in causes if isinstance(cause, OSError) and _package(cause) != "aiohttp"]
    words = [cause.strerror for cause in refusals if isinstance(cause.strerror, str)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if words:
        return words[-1]
    # Before anything was sent there is only a host to name.
    text = str(refusals[-1]) if refusals and not sent else ""
    return text or type(causes[-1]).__name__


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        # httpcore's pool hides the cause of what it passes on.
        hidden = _package(exc) == "httpcore" and type(exc).__name__ == "ConnectError"
        exc = exc.__cause__ or (exc.__context__ if hidden else None)


def _package(exc: BaseException) -> str:
    return type(exc).__module__.partition(".")[0]
