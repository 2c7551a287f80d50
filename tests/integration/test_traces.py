"""Real processes and a collector: what a worker exports over OTLP, from threads and from forked children."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from system import System
from traced import Recorder, id_of

from hmt_pass.status import State

RUN = "run/hmt_pass.recognize"


@dataclass
class Collector:
    """Takes spans over HTTP, as the OpenTelemetry Collector does at port 4318."""

    url: str = ""
    services: set[str] = field(default_factory=set)
    spans: list[Any] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {
                item.value.string_value for item in group.resource.attributes if item.key == "service.name"
            }
            self.spans += [span for scope in group.scope_spans for span in scope.spans]


@contextmanager
def collecting() -> Iterator[Collector]:
    """Serve on a free loopback port until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield collector
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("broker", "pool"), [("redis", "threads"), ("redis", "processes"), ("rabbitmq", "threads")], indirect=["broker"]
)
def test_a_job_is_one_trace_from_the_web_apps_request_to_s3(system: System, pool: str) -> None:
    recorder = Recorder()
    system.books.script.append("9999")
    with collecting() as collector:
        system.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        worker = system.worker(*(["-P", "processes"] if pool == "processes" else []), concurrency=1)
        image = system.upload("one.png")
        with recorder.web_app():
            job_id = system.producer.enqueue(image)
        assert [State.RECOGNIZED] == system.wait(job_id)
        assert worker.stop()  # what was not sent yet is sent now

    spans = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
    first, second = [span for span in spans if span.name == RUN]
    publishing, request = recorder.spans
    trace_id = f"{request.get_span_context().trace_id:032x}"
    assert {trace_id} == {span.trace_id.hex() for span in spans}
    assert [f"{id_of(publishing):016x}"] * 2 == [run.parent_span_id.hex() for run in (first, second)]
    called = [[span.name for span in spans if span.parent_span_id == run.span_id] for run in (first, second)]
    assert [["S3.GetObject", "POST"], ["S3.GetObject", "POST", "S3.PutObject"]] == called
    said = [{item.key: item.value for item in run.attributes} for run in (first, second)]
    assert [("retry", "9999", 1), ("done", "0000", 2)] == [
        (
            about["hmt_pass.disposition"].string_value,
            about["hmt_pass.code"].string_value,
            about["hmt_pass.attempt"].int_value,
        )
        for about in said
    ]
    assert {"hmt_pass"} == collector.services
