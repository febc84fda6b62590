import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from runtime.embedded import EmbeddedTemporal
from runtime.ports import free_port

PROGRAM = """
import asyncio, sys
from opentelemetry import trace
from runtime.telemetry import configure_telemetry, traced

interceptors = configure_telemetry("api", sys.argv[1] or None)
print([type(interceptor).__name__ for interceptor in interceptors])

async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 503, "headers": []})

async def send(message):
    pass

headers = [(b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
scope = {"type": "http", "method": "GET", "path": "/api/v1/runs", "headers": headers}
asyncio.run(traced(application)(scope, None, send))
if sys.argv[1]:
    trace.get_tracer_provider().force_flush()
"""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Span]]]:
    spans: list[Span] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    spans.extend(scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
        server.shutdown()


def run(endpoint: str) -> str:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, endpoint], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_nothing_is_traced_by_default() -> None:
    assert run("") == "[]"


def test_a_request_is_traced_within_its_callers_trace(collector: tuple[str, list[Span]]) -> None:
    endpoint, spans = collector
    assert run(endpoint) == "['TracingInterceptor']"
    (span,) = spans
    assert span.name == "GET"
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    assert attributes["http.response.status_code"].int_value == 503
    assert span.status.code == 2


async def test_a_worker_serves_its_metrics(temporal_server: EmbeddedTemporal) -> None:
    port = free_port()
    program = (
        "import asyncio, sys\n"
        "from temporalio.client import Client\n"
        "from runtime.telemetry import serve_worker_metrics\n"
        "async def main():\n"
        "    serve_worker_metrics(int(sys.argv[1]))\n"
        "    await Client.connect(sys.argv[2])\n"
        "    print('connected', flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(port), temporal_server.address, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"connected\n"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    finally:
        process.kill()
        await process.wait()
    assert answer.status_code == 200
    assert "temporal_request" in answer.text
