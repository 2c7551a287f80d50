"""Traces in tests: the spans of this process in memory, and a web app that traces its own Celery app."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import celery
from celery import current_app
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@dataclass(frozen=True, slots=True)
class Recorder:
    """What would be exported; `provider` is for whoever makes spans."""

    provider: TracerProvider = field(default_factory=lambda: TracerProvider(shutdown_on_exit=False))
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in the order of their ends."""
        return list(self.exporter.get_finished_spans())

    @property
    def runs(self) -> list[ReadableSpan]:
        """Those of runs of jobs."""
        return [span for span in self.spans if span.name == "run/hmt_pass.recognize"]

    @property
    def text(self) -> str:
        """All that they say."""
        return "".join(span.to_json() for span in self.spans)

    @contextmanager
    def web_app(self) -> Iterator[ReadableSpan]:
        """A web app in the middle of a request: its own Celery app is the current one, and does not know our task."""
        ours = current_app._get_current_object()  # noqa: SLF001  a proxy would follow the change
        celery.Celery("shop")
        CeleryInstrumentor().instrument(tracer_provider=self.provider)
        try:
            with self.provider.get_tracer("shop").start_as_current_span("POST /permits") as request:
                assert isinstance(request, ReadableSpan)
                yield request
        finally:
            CeleryInstrumentor().uninstrument()
            ours.set_current()


def notes(span: ReadableSpan) -> Mapping[str, object]:
    """The span's attributes about the job, without their prefix."""
    ours = [(name, value) for name, value in (span.attributes or {}).items() if name.startswith("hmt_pass.")]
    return {name.removeprefix("hmt_pass."): value for name, value in ours}


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span that it is in."""
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    """Its own id."""
    return span.get_span_context().span_id
