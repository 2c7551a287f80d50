"""A whole trace in memory: a web app's enqueue, the run, and the real calls of S3 and of an endpoint."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from books import CARD, Books
from botocore.httpsession import URLLib3Session
from fakes import API_SECRET, VERSIONED, World, jpeg, message_of, run_task
from opentelemetry import propagate
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.trace import StatusCode
from traced import Recorder, id_of, notes, parent_of

from hmt_pass.client import Client
from hmt_pass.job import Job
from local.process import free_port
from local.s3 import BUCKET, S3Server
from worker import exporting
from worker.sending import Sender
from worker.settings import Send
from worker.storage import Storage

SIGN = "the-sign-of-this-call"
TRACEPARENT = f"00-{0xA1:032x}-{0xB2:016x}-01"


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A process that traces as a worker does, but to memory."""
    recorder, textmap = Recorder(), propagate.get_global_textmap()
    monkeypatch.setattr("worker.spans._tracer", recorder.provider.get_tracer("worker"))
    exporting.instrument(recorder.provider)
    yield recorder
    BotocoreInstrumentor().uninstrument()
    RequestsInstrumentor().uninstrument()
    propagate.set_global_textmap(textmap)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("hmt_pass.signing.sign", lambda *_: SIGN)
    return World.create(monkeypatch)


class Connected:
    """A world with a real S3 and a real client in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World, s3: S3Server, storage: Storage) -> None:
        self._monkeypatch, self._world, self._s3, self._storage = monkeypatch, world, s3, storage

    def run(self, endpoint_url: str, send: Send = Send.FILE, key: str = "traced.jpg") -> str:
        """How one delivery of a job ends for celery; its photo lies in S3."""
        bucket = VERSIONED if send is Send.URL else BUCKET
        version = self._s3.client.put_object(Bucket=bucket, Key="traced.jpg", Body=jpeg()).get("VersionId")
        services = replace(
            self._world.services,
            storage=self._storage,
            sender=Sender(send, self._storage),
            client=Client("an-id", API_SECRET, endpoint_url),
        )
        self._monkeypatch.setattr("worker.task.services", lambda: services)
        job = Job.create(f"s3://{bucket}/{key}" + (f"?versionId={version}" if version else ""))
        self._world.store.hset(f"hmt_pass:job:{job.job_id}", "enqueued_at", "2026-11-26T10:00:00.000+00:00")
        return run_task(message_of(job, traceparent=TRACEPARENT), job.job_id).end


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch, world: World, s3: S3Server, real_storage: Storage) -> Connected:
    return Connected(monkeypatch, world, s3, real_storage)


def test_the_calls_of_a_run_are_its_children(connected: Connected, recorder: Recorder, books: Books) -> None:
    assert "done" == connected.run(books.url)
    [run] = recorder.runs
    calls = [span for span in recorder.spans if parent_of(span) == id_of(run)]
    assert ["S3.GetObject", "POST", "S3.PutObject"] == [span.name for span in calls]
    assert {0xA1} == {span.get_span_context().trace_id for span in (run, *calls)}
    assert {StatusCode.UNSET} == {span.status.status_code for span in recorder.spans}


@pytest.mark.parametrize("send", Send)
def test_no_field_no_secret_and_no_signature_is_in_a_span(
    connected: Connected, recorder: Recorder, books: Books, send: Send
) -> None:
    assert "done" == connected.run(books.url, send)
    for value in (*CARD.values(), API_SECRET, SIGN, "X-Amz-", "/9j/", "JFIF"):
        assert value not in recorder.text
    assert 4 <= len(recorder.spans)


def test_neither_the_endpoint_nor_s3_is_told_of_the_trace(
    connected: Connected, recorder: Recorder, books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    send = URLLib3Session.send
    monkeypatch.setattr(
        URLLib3Session, "send", lambda self, request: sent.extend(request.headers) or send(self, request)
    )
    assert "done" == connected.run(books.url)
    told = {name.lower() for name in sent} | set(books.headers[0])
    assert set() == told & {"traceparent", "tracestate", "baggage", "x-amzn-trace-id"}
    assert {"host", "user-agent"} <= told
    assert recorder.runs


def test_an_endpoint_that_is_down_is_an_error_of_the_call_and_not_of_the_run(
    connected: Connected, recorder: Recorder
) -> None:
    assert "delayed" == connected.run(f"http://127.0.0.1:{free_port()}")
    [run] = recorder.runs
    [call] = [span for span in recorder.spans if span.name == "POST"]
    assert (StatusCode.ERROR, StatusCode.UNSET, ()) == (call.status.status_code, run.status.status_code, run.events)
    assert (SIGN in recorder.text, API_SECRET in recorder.text) == (False, False)


def test_a_photo_that_is_not_there_is_an_error_of_both(connected: Connected, recorder: Recorder, books: Books) -> None:
    assert "dead" == connected.run(books.url, key="nobody-put-this.jpg")
    [run] = recorder.runs
    assert "object missing" == notes(run)["reason"]
    assert [StatusCode.ERROR] * 2 == [span.status.status_code for span in recorder.spans[-2:]]
