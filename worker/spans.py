"""The span of one run of a job, in the trace that its enqueue began. Does nothing while nobody traces.

The message carries the trace context of whoever enqueued it (W3C: the header `traceparent`), and every delay, dead
letter and redrive keeps it; so all runs of a job are in one trace. Without one, each run begins a trace of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hmt_pass import __version__
from hmt_pass.codes import Disposition
from hmt_pass.job import Lane
from worker.envelope import TaskMessage

_tracer = trace.get_tracer("hmt_pass", __version__)
_W3C = TraceContextTextMapPropagator()


@contextmanager
def run(task: str, message: TaskMessage, job_id: object) -> Iterator[None]:
    """A run of the job, around all that it calls. What celery is told by an exception, a retry for one, is no error."""
    said = {name: message.headers.get(name) for name in _W3C.fields}
    context = {name: value for name, value in said.items() if isinstance(value, str)}  # anybody may write headers
    with _tracer.start_as_current_span(
        f"run/{task}",
        _W3C.extract(context),
        SpanKind.CONSUMER,
        record_exception=False,
        set_status_on_exception=False,
    ):
        note(job_id=str(job_id), lane=Lane.of_queue(message.queue))
        yield


def note(**fields: str | int | None) -> None:
    """Say more about the run: each field that is not None becomes its attribute `hmt_pass.<name>`."""
    span = trace.get_current_span()
    for name, value in fields.items():
        if value is not None:
            span.set_attribute(f"hmt_pass.{name}", value)


def ended(disposition: Disposition, *, reason: str | None = None, **fields: str | int | None) -> None:
    """Say how the run ended; only a dead letter is an error, with its reason."""
    note(disposition=disposition, reason=reason, **fields)
    if disposition is Disposition.DEAD_LETTER:
        trace.get_current_span().set_status(StatusCode.ERROR, reason)
