"""The SDK of OpenTelemetry, and its instrumentations of what a job calls. Imported only where traces are asked for."""

from typing import Any

from celery.signals import worker_process_shutdown
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from hmt_pass import __version__
from hmt_pass.errors import SettingsError


def start() -> None:
    """Export the spans of this process to the collector, a batch at a time. Raises SettingsError.

    The SDK begins anew in a forked child, and sends what is left when a process ends by itself. A child of
    `-P processes` ends without that, so it is told.
    """
    provider = TracerProvider(resource=resource())
    try:
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise SettingsError(f"the OTEL_ variables need attention: {error}") from None
    trace.set_tracer_provider(provider)
    instrument(provider)

    def flush(**_: Any) -> None:  # noqa: ANN401  signal arguments
        provider.force_flush()

    worker_process_shutdown.connect(flush, weak=False)


def resource() -> Resource:
    """What the spans come from: hmt_pass, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    own = Resource.create({SERVICE_NAME: "hmt_pass", SERVICE_VERSION: __version__})
    return own.merge(OTELResourceDetector().detect())


def instrument(provider: TracerProvider) -> None:
    """Have the calls of S3 and of the endpoint make spans, and tell neither of them of the trace.

    What the web app adds to a trace, as baggage say, is nobody's business but its own and the collector's.
    """
    nothing = CompositePropagator([])
    propagate.set_global_textmap(nothing)
    BotocoreInstrumentor().instrument(  # type: ignore[no-untyped-call]  # it ships no types
        tracer_provider=provider, propagator=nothing
    )
    RequestsInstrumentor().instrument(tracer_provider=provider)
