"""Tracing by OpenTelemetry: off unless `TANDEM_OTEL_ENDPOINT` is set, and then from the request to the activity."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


def configure_telemetry(service: str, endpoint: str | None) -> Sequence[ClientInterceptor]:
    """Temporal interceptors to connect the client with: none without an endpoint, and then nothing is traced.

    :param endpoint: OTLP over HTTP, e.g. `http://collector:4318`.
    """
    if endpoint is None:
        return ()
    # Loaded only when wanted: without tracing these cost nothing.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from temporalio.contrib.opentelemetry import TracingInterceptor

    provider = TracerProvider(resource=Resource.create({"service.namespace": "tandem", "service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
    return (TracingInterceptor(),)


def serve_worker_metrics(port: int | None) -> None:
    """Serve Temporal's worker metrics to Prometheus from now on, on all addresses; without a port nothing is served.

    To be called before the process connects to Temporal.
    """
    if port is not None:
        metrics = PrometheusConfig(bind_address=f"0.0.0.0:{port}", durations_as_seconds=True)
        Runtime.set_default(Runtime(telemetry=TelemetryConfig(metrics=metrics)), error_if_already_set=False)


def traced(application: AsgiApplication) -> AsgiApplication:
    """The application with a span for each HTTP request, continuing the caller's trace."""
    tracer = trace.get_tracer("tandem.api")

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with tracer.start_as_current_span(
            scope["method"],
            context=propagate.extract(headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": scope["method"], "url.path": scope["path"]},
        ) as span:

            async def observe(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await application(scope, receive, observe)
            if route := getattr(scope.get("route"), "path", None):
                span.update_name(f"{scope['method']} {route}")

    return serve
