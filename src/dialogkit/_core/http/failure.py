"""What is true about a request that got no answer.

Each engine reads the exceptions of its library once, into one of the truths below. They are not trusted where they are
known to lie: httpx-aiohttp 0.2 calls a connection that was dropped *after* the request was read a `ConnectTimeout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple


class TransportFailure(Exception):  # noqa: N818 - it is no error yet: the sender decides what becomes of it
    """No answer came, or only a part of it. Its message, and its chain of causes, carry no secret.

    Args:
        reason: What happened, as a clause for messages.
        sent: Whether the request may have reached the server; `False` means that it certainly did not.
        timed_out: Whether it took too long.
    """

    def __init__(self, reason: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.timed_out = timed_out


class AnswerTooLarge(TransportFailure):
    """The answer came, and has more bytes than may be read into memory.

    Args:
        limit: How many bytes may be.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer has more than {limit:,} bytes", sent=True)
        self.limit = limit


class Truth(NamedTuple):
    """What an exception of a library means."""

    clause: str
    sent: bool
    timed_out: bool = False

    def told(self, exc: BaseException | None = None, *, answered: bool = False) -> TransportFailure:
        """Return it as a failure that holds nothing of `exc` but a few words.

        Args:
            exc: What the library raised.
            answered: The answer had begun, so that the request was sent, whatever `exc` says.
        """
        reason = self.clause if self.timed_out or exc is None else f"{self.clause} ({_words(exc, sent=self.sent)})"
        return TransportFailure(reason, sent=self.sent or answered, timed_out=self.timed_out)


NO_CONNECTION: Final = Truth("no connection could be made", sent=False)
NO_CONNECTION_IN_TIME: Final = Truth("no connection was made within the timeout", sent=False, timed_out=True)
NO_FREE_CONNECTION: Final = Truth("no connection became free within the timeout", sent=False, timed_out=True)
NO_PROXY: Final = Truth("the proxy made no connection", sent=False)
NO_HTTP_URL: Final = Truth("the URL is neither http nor https", sent=False)
NO_URL: Final = Truth("the URL is invalid", sent=False)
NOT_TAKEN: Final = Truth("the server did not take the request within the timeout", sent=True, timed_out=True)
NO_ANSWER_IN_TIME: Final = Truth("the server was silent for longer than the timeout", sent=True, timed_out=True)
NO_VALID_REQUEST: Final = Truth("the request is no valid HTTP", sent=True)
NOT_DECODED: Final = Truth("the answer could not be decompressed", sent=True)
NO_END_IN_TIME: Final = Truth("the answer took longer than ten times the timeout", sent=True, timed_out=True)
CLOSED: Final = Truth("the client was closed before the request was sent", sent=False)
CLOSED_MEANWHILE: Final = Truth("the client was closed while the answer was awaited", sent=True)
BROKEN: Final = Truth("the connection broke", sent=True)
"""What is said of anything that nobody knows: it may have been sent."""


def package_of(exc: BaseException) -> str:
    """Return the library that `exc` is of."""
    return type(exc).__module__.partition(".")[0]


def _words(exc: BaseException, *, sent: bool) -> str:
    """Return the operating system's words if there are any, else the exception's name.

    Texts of libraries are not quoted: they name the URL with its query, or the header that they find illegal.
    """
    causes = list(_chain(exc))
    refusals = [cause for cause in causes if isinstance(cause, OSError) and package_of(cause) != "aiohttp"]
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
        hidden = package_of(exc).startswith("httpcore") and type(exc).__name__ == "ConnectError"
        exc = exc.__cause__ or (exc.__context__ if hidden else None)
