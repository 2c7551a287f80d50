"""When a worker traces: what OpenTelemetry's variables say, and what is said when it cannot."""

import sys
from types import ModuleType

import pytest
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION

import worker
from hmt_pass import __version__
from hmt_pass.errors import SettingsError
from worker import exporting, tracing

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows when an export would begin."""
    found: list[str] = []
    monkeypatch.setattr(exporting, "start", lambda: found.append("started"))
    return found


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, []),
        ({"OTEL_SERVICE_NAME": "ocr"}, []),
        (COLLECTOR, ["started"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ["started"]),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ["started"]),
        ({**COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"}, []),
        ({**COLLECTOR, "OTEL_SDK_DISABLED": "false"}, ["started"]),
        ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"}, []),
    ],
)
def test_a_worker_traces_when_a_collector_is_named_and_nothing_forbids_it(
    starts: list[str], environment: dict[str, str], expected: list[str]
) -> None:
    tracing.start(environment)
    assert expected == starts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
    ],
)
def test_what_this_worker_cannot_speak_is_refused_by_name(starts: list[str], name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.replace("_TRACES_PROTOCOL", "_PROTOCOL")):
        tracing.start({**COLLECTOR, name: value})
    assert [] == starts


def test_traces_without_their_packages_are_refused_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(worker, "exporting")
    monkeypatch.delitem(sys.modules, "worker.exporting")
    missing: dict[str, ModuleType | None] = {"opentelemetry.sdk.trace": None}
    for name, module in missing.items():
        monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]  # None: an import fails
    with pytest.raises(SettingsError, match="uv sync --group worker-tracing"):
        tracing.start(COLLECTOR)


def test_a_value_that_the_sdk_cannot_read_is_a_problem_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")  # and no batch may be larger
    with pytest.raises(SettingsError, match="max_queue_size"):
        exporting.start()


def test_the_service_has_its_name_unless_it_is_given_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    own = exporting.resource().attributes
    assert ("hmt_pass", __version__) == (own[SERVICE_NAME], own[SERVICE_VERSION])
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ocr")
    assert "ocr" == exporting.resource().attributes[SERVICE_NAME]
