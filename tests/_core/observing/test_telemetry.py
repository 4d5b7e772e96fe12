"""Spans and metrics, as an application's OpenTelemetry SDK gets them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest
from opentelemetry import baggage, context, metrics, trace
from opentelemetry.metrics import _internal as metrics_internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import dialogkit
from dialogkit._core.call import Operation
from dialogkit._core.errors import APIConnectionError, APITimeoutError, DialogkitError, ServerError
from dialogkit._core.http.transport import Request
from dialogkit._core.observing.hooks import Hooks
from dialogkit._core.observing.watch import Attempt, Watch
from tests._core.toy import GET_THING, KEY
from tests.support.messages import answer_of, request_of

URL = "https://toy.example/api/things/t1?limit=5&phone=%2B491234&flag"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Collected:
    """What has been measured and traced."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider(metric_readers=[self.reader])

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans
        return span

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.span.attributes or {}

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name and scope.scope.name == "dialogkit"
            for point in metric.data.data_points
        ]


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    """Global providers for one test. The public setters work once in a process; see the test with one of its own."""
    collected = Collected()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", collected.tracers)
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", collected.meters)
    yield collected
    collected.tracers.shutdown()
    collected.meters.shutdown()


def request(url: str = URL) -> Request:
    return request_of("GET", url, headers={"Authorization": f"Bearer {KEY}"}, content=b"what the user wrote")


async def begin(
    watch: Watch | None = None, operation: Operation[Any] = GET_THING, url: str = URL, *, number: int = 1
) -> Attempt:
    attempt = await (watch or Watch("Toy", Hooks())).sending(
        operation, request(url), attempt=number, location_id="loc_1"
    )
    assert attempt is not None
    return attempt


async def exchange(watch: Watch | None = None, status: int = 200, **how: Any) -> None:
    attempt = await begin(watch, **how)
    await attempt.answered(answer_of(status), "req_1")


async def test_an_attempt_is_a_span_by_the_conventions(collected: Collected) -> None:
    await exchange()
    span = collected.span
    assert (span.name, span.kind, span.status.status_code) == (
        "GET /things/{thing_id}",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert dict(collected.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "toy.example",
        "server.port": 443,
        "url.full": "https://toy.example/api/things/t1?limit=REDACTED&phone=REDACTED&REDACTED",
        "url.template": "/things/{thing_id}",
        "dialogkit.operation": "get_thing",
        "dialogkit.platform": "Toy",
    }
    scope = span.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("dialogkit", dialogkit.__version__)


async def test_what_a_sampler_may_want_is_there_from_the_start(collected: Collected) -> None:
    seen: dict[str, Any] = {}

    class Eavesdropper(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            seen.update(span.attributes)

    collected.tracers.add_span_processor(Eavesdropper())
    await begin(number=3)
    assert {"http.request.method", "server.address", "server.port", "url.full", "url.template"} < set(seen)
    assert seen["http.request.resend_count"] == 2


@pytest.mark.parametrize("status", [400, 404, 429, 503])
async def test_a_refusal_is_an_error(status: int, collected: Collected) -> None:
    await exchange(status=status)
    assert collected.span.status.status_code is StatusCode.ERROR
    assert collected.attributes["error.type"] == str(status)
    assert collected.attributes["http.response.status_code"] == status


async def test_a_redirect_is_no_error(collected: Collected) -> None:
    await exchange(status=302)
    assert collected.span.status.status_code is StatusCode.UNSET
    assert "error.type" not in collected.attributes


ENDS: list[tuple[Callable[[Attempt], None], str]] = [
    (lambda attempt: attempt.failed("too slow", timed_out=True), "timeout"),
    (lambda attempt: attempt.failed("broke", timed_out=False), "connection_error"),
    (lambda attempt: attempt.abandoned(), "abandoned"),
]


@pytest.mark.parametrize(("end", "kind"), ENDS, ids=[kind for _, kind in ENDS])
async def test_no_answer_is_an_error(end: Callable[[Attempt], None], kind: str, collected: Collected) -> None:
    end(await begin())
    assert collected.span.status.status_code is StatusCode.ERROR
    assert collected.attributes["error.type"] == kind
    assert "http.response.status_code" not in collected.attributes
    (point,) = collected.points("http.client.request.duration")
    assert point.attributes["error.type"] == kind


async def test_each_attempt_has_a_span_of_its_own(collected: Collected) -> None:
    watch = Watch("Toy", Hooks())
    for number in (1, 2, 3):
        await exchange(watch, 503 if number < 3 else 200, number=number)
    counts = [(span.attributes or {}).get("http.request.resend_count") for span in collected.spans]
    assert counts == [None, 1, 2]


async def test_a_span_ends_once(collected: Collected) -> None:
    attempt = await begin()
    await attempt.answered(answer_of(200), None)
    attempt.abandoned()
    assert collected.attributes["http.response.status_code"] == 200
    (point,) = collected.points("http.client.request.duration")
    assert point.count == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_user_s_span_is_the_parent(backend: str, collected: Collected) -> None:
    tracer = collected.tracers.get_tracer("the application")

    async def main() -> None:
        with tracer.start_as_current_span("checkout") as checkout:
            attempt = await begin()
            assert trace.get_current_span() is checkout
            await attempt.answered(answer_of(200), None)

    anyio.run(main, backend=backend)
    span, checkout = collected.spans
    assert span.parent == checkout.get_span_context()


async def test_nothing_of_the_trace_is_sent_to_the_platform(collected: Collected) -> None:
    tracer = collected.tracers.get_tracer("the application")
    sent = request()
    before = dict(sent.headers)
    token = context.attach(baggage.set_baggage("customer", "42"))
    try:
        with tracer.start_as_current_span("checkout"):
            attempt = await Watch("Toy", Hooks()).sending(GET_THING, sent, attempt=1, location_id=None)
    finally:
        context.detach(token)
    assert attempt is not None
    assert dict(sent.headers) == before


async def test_spans_tell_no_secrets(collected: Collected) -> None:
    attempt = await begin()
    await attempt.answered(answer_of(401, headers={"X-Echo": KEY}), KEY)
    attempt.body(KEY.encode())
    shown = collected.span.to_json() + repr(collected.points("http.client.request.duration"))
    for private in (KEY, "491234", "what the user wrote"):
        assert private not in shown


LINK = replace(GET_THING, id="download", path="https://files.example/...", answer="bytes", authenticated=False)
RAW = replace(GET_THING, id="request", path="/things/t1", answer="raw")
ODD = replace(RAW, method="PURGE")


async def test_a_link_is_told_without_its_path(collected: Collected) -> None:
    await exchange(operation=LINK, url="https://files.example/secret-path/call.wav?signature=1234")
    assert collected.span.name == "GET"
    assert collected.attributes["url.full"] == "https://files.example/..."
    assert "url.template" not in collected.attributes


@pytest.mark.parametrize(("operation", "name", "method"), [(RAW, "GET", "GET"), (ODD, "HTTP", "_OTHER")])
async def test_names_stay_few_for_requests_that_no_method_covers(
    operation: Operation[Any], name: str, method: str, collected: Collected
) -> None:
    await exchange(operation=operation)
    assert collected.span.name == name
    assert collected.attributes["http.request.method"] == method
    (point,) = collected.points("http.client.request.duration")
    assert "url.template" not in point.attributes


@pytest.mark.parametrize(
    ("url", "address", "port", "full"),
    [
        ("http://127.0.0.1:8080/api/things/t1", "127.0.0.1", 8080, "http://127.0.0.1:8080/api/things/t1"),
        ("http://localhost/things/t1", "localhost", 80, "http://localhost/things/t1"),
        ("http://[::1]:8080/things/t1", "::1", 8080, "http://[::1]:8080/things/t1"),
        ("https://user:pass@toy.example/t?", "toy.example", 443, "https://toy.example/t"),
        (
            "https://toy.example/a%2Fb%20c?q=a%26b=c#part",
            "toy.example",
            443,
            "https://toy.example/a%2Fb%20c?q=REDACTED",
        ),
    ],
)
async def test_where_it_went(url: str, address: str, port: int, full: str, collected: Collected) -> None:
    await exchange(url=url)
    told = collected.attributes
    assert (told["server.address"], told["server.port"], told["url.full"]) == (address, port, full)


async def test_durations_are_measured_by_the_conventions(collected: Collected) -> None:
    clock = Clock()
    watch = Watch("Toy", Hooks(), clock=clock)
    for elapsed, status in ((0.25, 200), (0.75, 200), (3.0, 503)):
        attempt = await begin(watch)
        clock.now += elapsed
        await attempt.answered(answer_of(status), None)
    good, bad = collected.points("http.client.request.duration")
    assert isinstance(good, HistogramDataPoint)
    assert (good.count, good.sum, bad.count, bad.sum) == (2, 1.0, 1, 3.0)
    assert tuple(good.explicit_bounds) == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    where = {
        "http.request.method": "GET",
        "server.address": "toy.example",
        "server.port": 443,
        "url.template": "/things/{thing_id}",
    }
    assert good.attributes == {**where, "http.response.status_code": 200}
    assert bad.attributes == {**where, "http.response.status_code": 503, "error.type": "503"}


CALL: dict[str, Any] = {"operation": "get_thing", "attempts": 1, "sent": True}
ERRORS: list[tuple[DialogkitError, str]] = [
    (ServerError("", operation="get_thing", status=503), "503"),
    (APITimeoutError("", **CALL), "timeout"),
    (APIConnectionError("", **CALL), "connection_error"),
    (DialogkitError(""), "DialogkitError"),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS)
async def test_retries_are_counted(error: DialogkitError, kind: str, collected: Collected) -> None:
    watch = Watch("Toy", Hooks())
    for attempt in (1, 2):
        await watch.retrying(GET_THING, attempt=attempt, location_id=None, error=error, delay=1)
    (point,) = collected.points("dialogkit.client.retries")
    assert isinstance(point, NumberDataPoint)
    assert point.value == 2
    names = {"dialogkit.operation": "get_thing", "dialogkit.platform": "Toy"}
    assert point.attributes == {**names, "error.type": kind}


async def test_waits_at_the_limiter_are_measured(collected: Collected) -> None:
    watch = Watch("Toy", Hooks())
    await watch.held_back(GET_THING, attempt=1, location_id=None, reason="waited", seconds=0.5)
    await watch.held_back(GET_THING, attempt=1, location_id=None, reason="waited", seconds=30.0)
    await watch.held_back(GET_THING, attempt=1, location_id=None, reason="refused", seconds=60.0)
    (point,) = collected.points("dialogkit.client.rate_limit.wait")
    assert (point.count, point.sum) == (2, 30.5)
    assert point.attributes == {"dialogkit.operation": "get_thing", "dialogkit.platform": "Toy"}


async def test_clients_share_their_instruments(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    get_meter = collected.meters.get_meter

    def counting(name: str, *args: Any) -> metrics.Meter:
        made.append(name)
        return get_meter(name, *args)

    monkeypatch.setattr(collected.meters, "get_meter", counting)
    for _ in range(3):
        await exchange(Watch("Toy", Hooks()))
    assert made == ["dialogkit"]
    (point,) = collected.points("http.client.request.duration")
    assert point.count == 3


async def test_traces_alone_are_enough(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", None)
    await exchange()
    assert len(collected.spans) == 1
    assert collected.points("http.client.request.duration") == []


async def test_metrics_alone_are_enough(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    await exchange()
    assert not collected.spans
    assert len(collected.points("http.client.request.duration")) == 1


async def test_a_span_that_is_not_sampled_is_measured_all_the_same(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    await exchange(status=500)
    assert not collected.spans
    assert len(collected.points("http.client.request.duration")) == 1


@pytest.mark.parametrize("tracers", [None, trace.NoOpTracerProvider()])
async def test_without_a_provider_nobody_looks_on(
    tracers: trace.TracerProvider | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", tracers)
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", None if tracers is None else metrics.NoOpMeterProvider())
    assert await Watch("Toy", Hooks()).sending(GET_THING, request(), attempt=1, location_id=None) is None


async def test_a_provider_that_comes_late_is_found_within_a_second(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    watch = Watch("Toy", Hooks(), clock=clock)
    with monkeypatch.context() as early:
        early.setattr(trace, "_TRACER_PROVIDER", None)
        early.setattr(metrics_internal, "_METER_PROVIDER", None)
        assert await watch.sending(GET_THING, request(), attempt=1, location_id=None) is None
    clock.now += 1
    await exchange(watch)
    assert len(collected.spans) == 1


class Broken:
    """An SDK of which so many calls in a row succeed."""

    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __getattr__(self, name: str) -> Any:
        def call(*args: object, **kwargs: object) -> Any:
            if self.depth == 0:
                raise RuntimeError(f"{name} is broken")
            return Broken(self.depth - 1)

        return call


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["get_tracer", "start_span", "end"])
async def test_a_broken_sdk_breaks_no_call(
    depth: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Broken(depth))
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", Broken(depth))
    watch = Watch("Toy", Hooks(on_request=lambda event: None))
    for _ in range(2):
        await exchange(watch)
        (await begin(watch)).failed("broke", timed_out=False)
        (await begin(watch)).abandoned()
        await watch.retrying(GET_THING, attempt=1, location_id=None, error=ERRORS[0][0], delay=1)
        await watch.held_back(GET_THING, attempt=1, location_id=None, reason="waited", seconds=0.5)
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("dialogkit", "OpenTelemetry failed; the call goes on without it")


async def test_broken_metrics_cost_no_spans(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_internal, "_METER_PROVIDER", Broken(2))
    await exchange(status=503)
    assert collected.attributes["error.type"] == "503"


async def test_broken_spans_cost_no_metrics(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", Broken(2))
    await exchange()
    assert len(collected.points("http.client.request.duration")) == 1


APPLICATION = """
import asyncio, json
from dialogkit._core.observing.hooks import Hooks
from dialogkit._core.observing.watch import Watch
from tests._core.toy import GET_THING
from tests.support.messages import answer_of, request_of

async def call(watch):
    attempt = await watch.sending(
        GET_THING, request_of("GET", "https://toy.example/things/t1"), attempt=1, location_id=None
    )
    if attempt is not None:
        await attempt.answered(answer_of(200), None)

watch = Watch("Toy", Hooks())
asyncio.run(call(watch))  # before OpenTelemetry is even imported

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))

asyncio.run(call(watch))
(metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(json.dumps([[span.name for span in exporter.get_finished_spans()], metric.name]))
"""


def test_an_application_sets_its_providers_and_gets_spans_and_metrics() -> None:
    done = subprocess.run([sys.executable, "-c", APPLICATION], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    assert json.loads(done.stdout) == [["GET /things/{thing_id}"], "http.client.request.duration"]
