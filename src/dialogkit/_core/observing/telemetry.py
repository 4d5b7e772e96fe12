"""Spans and metrics by OpenTelemetry's semantic conventions for HTTP clients.

Each attempt is a span of kind CLIENT, a child of the span that is current where the call is made, and ends when the
answer's headers are there. `http.client.request.duration` measures the same; `dialogkit.client.retries` counts
repetitions, and `dialogkit.client.rate_limit.wait` measures waits at the client's own limiter.

Only the API package is used, through its global providers. It is imported when the application has imported it, as it
must in order to set a provider; until there is a provider this costs nothing, and one that is set after a client's
first call is found within a second.

No `traceparent` or `baggage` header is sent along: the platform is a third party, and whatever the application keeps
in its trace state and baggage is not the platform's business.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dialogkit._core.call import Operation
from dialogkit._core.errors import APIConnectionError, APIStatusError, APITimeoutError, DialogkitError
from dialogkit._core.events import RateLimitEvent, RetryEvent
from dialogkit._core.http.transport import Request
from dialogkit._core.observing.observer import ABANDONED, AttemptInfo, Observer, operation_of, request_of
from dialogkit._core.support.callbacks import FirstFault
from dialogkit._core.support.version import version

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

_LOOK_EVERY: Final = 1.0
"""Seconds between looks for a provider."""
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_PORTS: Final = {"http": 80, "https": 443}
_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Bucket boundaries in seconds, as the conventions advise."""
_WAITS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TIMEOUT: Final = "timeout"
_NO_ANSWER: Final = "connection_error"
_ABANDONED: Final = "abandoned"


class _Instruments(NamedTuple):
    tracer: Tracer
    duration: Histogram
    retries: Counter
    waits: Histogram
    client: SpanKind
    error: StatusCode


class Telemetry(Observer):
    """One client's way to the global providers. Whatever they do wrong is logged once and breaks no call.

    Args:
        platform: As users write it.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(self, platform: str, clock: Callable[[], float]) -> None:
        self._first_fault = FirstFault("OpenTelemetry")
        self._platform = platform
        self._clock = clock
        self._instruments: _Instruments | None = None
        self._look_at: float | None = None

    def is_watching(self) -> bool:
        """Say whether there is a provider."""
        if self._instruments is not None:
            return True
        # Whoever sets a provider has imported this.
        return "opentelemetry.context" in sys.modules and self._look()

    def on_request(self, attempt: AttemptInfo) -> None:
        """Start the span of an attempt."""
        if self._instruments is not None:
            with self._guarded():
                attempt.notes[self] = self._start(self._instruments, attempt)

    def on_response(self, attempt: AttemptInfo) -> None:
        """End the span with an answer."""
        status = attempt.status or 0
        facts: dict[str, Any] = {"http.response.status_code": status}
        if status >= 400:
            facts["error.type"] = str(status)
        self._end(attempt, facts)

    def on_failure(self, attempt: AttemptInfo, reason: str, *, timed_out: bool) -> None:
        """End the span without an answer; one that had an answer has ended."""
        kind = _ABANDONED if reason == ABANDONED else _TIMEOUT if timed_out else _NO_ANSWER
        self._end(attempt, {"error.type": kind})

    def on_retry(self, event: RetryEvent) -> None:
        """Count a repetition."""
        if self.is_watching() and self._instruments is not None:
            with self._guarded():
                self._instruments.retries.add(1, {**_names(event), "error.type": _type_of(event.error)})

    def on_rate_limit(self, event: RateLimitEvent) -> None:
        """Measure a wait at the client's own limiter."""
        if event.reason == "waited" and self.is_watching() and self._instruments is not None:
            with self._guarded():
                self._instruments.waits.record(event.seconds or 0.0, _names(event))

    def _start(self, instruments: _Instruments, attempt: AttemptInfo) -> _Measured:
        operation, request = operation_of(attempt), request_of(attempt)
        facts = _facts(operation, request)
        name = "HTTP" if facts["http.request.method"] == "_OTHER" else operation.method
        details: dict[str, Any] = {**facts, **_names(attempt), "url.full": _redacted(operation, request)}
        if attempt.attempt > 1:
            details["http.request.resend_count"] = attempt.attempt - 1
        span = instruments.tracer.start_span(
            f"{name} {operation.path}" if "url.template" in facts else name,
            kind=instruments.client,
            attributes=details,
        )
        return _Measured(instruments, span, facts)

    def _end(self, attempt: AttemptInfo, facts: dict[str, Any]) -> None:
        measured: _Measured | None = attempt.notes.pop(self, None)
        if measured is None:
            return
        with self._guarded():
            measured.instruments.duration.record(attempt.elapsed, {**measured.facts, **facts})
        with self._guarded():
            measured.span.set_attributes(facts)
            if "error.type" in facts:
                measured.span.set_status(measured.instruments.error)
            measured.span.end()

    @contextmanager
    def _guarded(self) -> Generator[None]:
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must not break the call
            self._first_fault.report(exc)

    def _look(self) -> bool:
        now = self._clock()
        if self._look_at is not None and now < self._look_at:
            return False
        self._look_at = now + _LOOK_EVERY
        try:
            self._instruments = _find()
        except Exception as exc:  # noqa: BLE001 - as above
            self._first_fault.report(exc)
        return self._instruments is not None


class _Measured(NamedTuple):
    """An attempt that has a span."""

    instruments: _Instruments
    span: Span
    facts: dict[str, Any]


def _find() -> _Instruments | None:
    from opentelemetry import metrics, trace  # noqa: PLC0415 - optional, and loaded by the application

    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if not _is_real(tracers) and not _is_real(meters):
        return None
    return _instruments(tracers, meters)


def _is_real(provider: object) -> bool:
    """Tell whether someone has set `provider`: those of the API package do nothing, or wait for one."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


@lru_cache(maxsize=4)
def _instruments(tracers: TracerProvider, meters: MeterProvider) -> _Instruments:
    """Make each instrument once for all clients: the API keeps every one that is made, for ever."""
    from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 - it is loaded

    meter = meters.get_meter("dialogkit", version())
    return _Instruments(
        tracer=tracers.get_tracer("dialogkit", version()),
        duration=meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_DURATIONS,
        ),
        retries=meter.create_counter(
            "dialogkit.client.retries", unit="{retry}", description="Requests that were sent again."
        ),
        waits=meter.create_histogram(
            "dialogkit.client.rate_limit.wait",
            unit="s",
            description="How long requests waited for their turn at the client's own rate limiter.",
            explicit_bucket_boundaries_advisory=_WAITS,
        ),
        client=SpanKind.CLIENT,
        error=StatusCode.ERROR,
    )


def _facts(operation: Operation[Any], request: Request) -> dict[str, Any]:
    """Return what spans and metrics have in common before there is an answer."""
    origin = request.origin
    facts: dict[str, Any] = {
        "http.request.method": operation.method if operation.method in _METHODS else "_OTHER",
        "server.address": origin.host,
        "server.port": origin.port or _PORTS.get(origin.scheme, 0),
    }
    # A path that a user wrote, or a link, is no template, and as many as there are make as many time series.
    if operation.answer != "raw" and operation.path.startswith("/"):
        facts["url.template"] = operation.path
    return facts


def _redacted(operation: Operation[Any], request: Request) -> str:
    """Return the URL with the names of its query, but not their values."""
    if not operation.path.startswith("/"):  # a link, all of which may be as good as a credential
        return operation.path
    path, _, query = request.target.partition("?")
    shown = "&".join(_without_value(pair) for pair in query.split("&") if pair)
    base = request.origin.text + path
    return f"{base}?{shown}" if shown else base


def _without_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}=REDACTED" if equals else "REDACTED"


def _names(told: AttemptInfo | RetryEvent | RateLimitEvent) -> dict[str, str]:
    return {"dialogkit.operation": told.operation, "dialogkit.platform": told.platform}


def _type_of(error: DialogkitError) -> str:
    if isinstance(error, APIStatusError):
        return str(error.status)
    if isinstance(error, APIConnectionError):
        return _TIMEOUT if isinstance(error, APITimeoutError) else _NO_ANSWER
    return type(error).__name__
