"""aiohttp's connections with a guard on each: what aiohttp takes on trust is looked at here.

Theory of operation. A connection is busy, from the moment that it is lent for a request until the answer's last byte,
or at rest in the pool. What decides is what arrives when:

- At rest nothing may arrive. Whatever a server writes then (a late duplicate, a 408, an end) would be taken for the
  next answer, which is somebody else's. So bytes at rest mark the connection, and before it is lent again its socket is
  asked, too: bytes that the event loop had no time to read lie there. Marked or readable means dead.
- Busy, each piece must arrive within the read timeout. aiohttp drops that timer with an interim answer (1xx) and does
  not start it again; it is started again here. And the whole attempt has an end, so that a drip has one.
- An answer without a length ends with the connection, and it counts how that ended: only by the server, and in order.
- An answer that is followed by stray bytes in one segment is whole all the same, but aiohttp forgets it when it cannot
  parse what follows. `_Parser` gets it back. It also takes what httpx takes, with or without `python -X dev`: equal
  lengths twice, folded headers, lines that end in LF.

All that leans on aiohttp's inside is `_factory` and `_parser`; `tests/_core/http/test_guards.py` is the canary. A
connection that was made past `_factory` is used once, and never again.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from dialogkit._core.http import failure
from dialogkit._core.http.bounded import ATTEMPT
from dialogkit._core.http.failure import TransportFailure, Truth
from dialogkit._core.http.heads import end_of_head, put_right

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.streams import StreamReader
    from aiohttp.tracing import Trace

AIOHTTP_ERRORS: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
SIZES_OF_HEADERS: Final[dict[str, Any]] = {"max_line_size": 64 * 1024, "max_field_size": 64 * 1024, "max_headers": 256}
"""What a head may have, in bytes and in lines; aiohttp's own sizes are smaller than those of httpx."""

_PROXY_ERRORS: Final = (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError)


class GuardedProtocol(ResponseHandler):
    """A connection that knows whether anything may arrive on it."""

    at_rest = False
    """Its last answer is complete, so that nothing may arrive."""
    overdue = False
    """The attempt took too long, and the connection was dropped for it."""
    torn = False
    """It ended in the middle of an answer, and not because the server said so."""
    is_head = False
    connector: aiohttp.BaseConnector | None = None
    _poll: Any = None
    _end_of_attempt: asyncio.TimerHandle | None = None

    def lend(self, connection: Connection, req: ClientRequest, timeout: aiohttp.ClientTimeout) -> None:
        """Get ready for a request."""
        self.at_rest = self.overdue = self.torn = False
        self.is_head = req.method == "HEAD"
        if timeout.sock_read is not None:
            self._end_of_attempt = self._loop.call_later(ATTEMPT * timeout.sock_read, self._give_up)
        connection.add_callback(self._rest)

    def may_take_all_time(self) -> None:
        """Let the attempt take as long as pieces keep coming."""
        if self._end_of_attempt is not None:
            self._end_of_attempt.cancel()
            self._end_of_attempt = None

    def is_dirty(self) -> bool:
        """Say whether anything has come since the last answer, an end included."""
        transport = self.transport
        if not self.at_rest:
            return False  # it is new
        return transport is None or transport.is_closing() or self.should_close or self._is_readable(transport)

    def expect_answer(self) -> None:
        """Look after the parser, which aiohttp has just made."""
        if not len(self):
            self._parser: Any = _Parser(self, self._parser)

    def new_parser(self) -> Any:
        """Return another parser of the answer, as aiohttp makes it."""
        self.set_response_params(
            skip_payload=self.is_head,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self.read_timeout,
            **SIZES_OF_HEADERS,
        )
        return self._parser

    def _is_readable(self, transport: asyncio.Transport) -> bool:
        """Say whether the socket has something that the event loop has not read yet, an end included."""
        socket = transport.get_extra_info("socket")
        if socket is None or socket.fileno() < 0:
            return True
        if not hasattr(select, "poll"):
            return bool(select.select([socket], [], [], 0)[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(socket, select.POLLIN)
        return bool(self._poll.poll(0))

    def data_received(self, data: bytes) -> None:
        if self.at_rest and data:
            self.force_close()
        else:
            super().data_received(data)

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        message, payload = await super().read()
        if message.code < 200:
            self._check_interim(message.code)
        return message, payload

    def _check_interim(self, status: int) -> None:
        """Wait on for the answer, unless what came promises none."""
        if status < 100 or status == 101:
            raise TransportFailure("the server leaves HTTP, which nobody asked for", sent=True)
        if not len(self):
            self.start_timeout()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.torn = self.torn or (exc is not None and not self.at_rest)
        super().connection_lost(exc)

    def close(self) -> None:
        self.torn = self.torn or not self.at_rest
        super().close()

    def _rest(self) -> None:
        self.at_rest = True
        self.may_take_all_time()

    def _give_up(self) -> None:
        self.overdue = self.torn = True
        if self.transport is not None:
            self.transport.abort()


class GuardedConnector(aiohttp.TCPConnector):
    """A pool that looks at a connection before it lends it again, and says for certain that nothing was sent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType] - its sockets are typed loosely
        self._factory: Any = self._connection

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:
        told: TransportFailure
        try:
            connection = await super().connect(req, traces, timeout)
            while _is_dirty(connection):
                connection.close()
                connection = await super().connect(req, traces, timeout)
            self._lend(connection, req, timeout)
        except asyncio.CancelledError:
            if not self.closed or _is_being_cancelled():
                raise
            told = failure.CLOSED.told()  # aiohttp cancels those who wait in line
        except asyncio.TimeoutError:
            told = failure.NO_CONNECTION_IN_TIME.told()
        except (*AIOHTTP_ERRORS, ValueError) as exc:
            told = self._told(exc, req)
        else:
            return connection
        raise told

    def _connection(self) -> GuardedProtocol:
        protocol = GuardedProtocol(self._loop)
        protocol.connector = self
        return protocol

    def _lend(self, connection: Connection, req: ClientRequest, timeout: aiohttp.ClientTimeout) -> None:
        protocol = connection.protocol
        if isinstance(protocol, GuardedProtocol):
            protocol.lend(connection, req, timeout)
        elif protocol is not None:
            protocol.force_close()

    def _told(self, exc: Exception, req: ClientRequest) -> TransportFailure:
        """Return what `exc` means, which came before anything was sent."""
        if self.closed:
            return failure.CLOSED.told()
        if req.proxy is not None and not isinstance(exc, aiohttp.ClientSSLError):
            return failure.NO_PROXY.told(exc)
        return failure.NO_CONNECTION.told(exc)


def truth_of(exc: Exception) -> Truth:
    """Return what an exception of aiohttp means that came from elsewhere than from here."""
    if isinstance(exc, _PROXY_ERRORS):
        return failure.NO_PROXY
    if isinstance(exc, (aiohttp.ClientConnectorError, aiohttp.ClientSSLError)):
        return failure.NO_CONNECTION
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return failure.NO_CONNECTION_IN_TIME
    if isinstance(exc, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
        return failure.NO_HTTP_URL
    return failure.NO_ANSWER_IN_TIME if isinstance(exc, asyncio.TimeoutError) else failure.BROKEN


def broken_off(exc: Exception | None, protocol: object) -> TransportFailure:
    """Return what `exc` means, which came after the request had been sent."""
    if isinstance(protocol, GuardedProtocol):
        if protocol.overdue:
            return failure.NO_END_IN_TIME.told()
        if protocol.connector is not None and protocol.connector.closed:
            return failure.CLOSED_MEANWHILE.told()
    return (failure.NO_ANSWER_IN_TIME if isinstance(exc, asyncio.TimeoutError) else failure.BROKEN).told(exc)


class _Parser:
    """Feeds aiohttp's parser until the head of the answer is there, and then leaves the connection to that.

    A parser that fails forgets what it has parsed, so what it got is kept until then, and parsed again, piece by piece.
    """

    __slots__ = ("_held", "_inner", "_protocol")

    def __init__(self, protocol: GuardedProtocol, inner: Any) -> None:
        self._protocol = protocol
        self._inner = inner
        self._held: list[bytes] = []

    def feed_data(self, data: bytes) -> Any:
        self._held.append(data)
        try:
            fed = self._inner.feed_data(data)
        except Exception:  # noqa: BLE001 - it raises again, unless there was an answer all the same
            return self._again()
        if fed[0] and fed[0][-1][0].code >= 200:
            self._protocol._parser = self._inner  # noqa: SLF001 - the guard is done
        return fed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _again(self) -> Any:
        """Parse what came head by head, put right, so that an answer before the fault is not lost with it."""
        parser = self._inner = self._protocol.new_parser()
        messages: list[Any] = []
        left = b"".join(self._held)
        while not any(message.code >= 200 for message, _ in messages):
            end = end_of_head(left)
            head, left = left[:end], left[end:]
            fed = parser.feed_data(put_right(head) if end else left)
            messages += fed[0]
            if not end:
                return messages, fed[1], fed[2]
        return messages, *self._rest(parser, left, messages[-1])

    def _rest(self, parser: Any, left: bytes, answer: Any) -> tuple[bool, bytes]:
        """Feed what follows the head; what follows the answer is nobody's."""
        message, payload = answer
        self._protocol.force_close()
        if self._protocol.is_head or message.code in {204, 304}:
            return False, b""
        try:
            _, upgraded, tail = parser.feed_data(left)
        except Exception:
            if not payload.is_eof():
                raise
            return False, b""
        return upgraded, tail


def _is_being_cancelled() -> bool:
    """Say whether somebody cancels this task; Python 3.10 cannot tell."""
    task: Any = asyncio.current_task()
    return hasattr(task, "cancelling") and task.cancelling() > 0


def _is_dirty(connection: Connection) -> bool:
    protocol = connection.protocol
    return isinstance(protocol, GuardedProtocol) and protocol.is_dirty()
