"""Whether this worker traces, as OpenTelemetry's standard variables say; its SDK reads the rest of them itself.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a collector.
"""

import os
from collections.abc import Mapping

from hmt_pass.errors import SettingsError

PROTOCOL = "http/protobuf"


def start(environment: Mapping[str, str] = os.environ) -> None:
    """Trace this process, and what it forks, if the environment asks for it; call it before anything is forked.

    Raises SettingsError when that cannot be done.
    """
    if not is_asked_for(environment):
        return
    try:
        from worker import exporting  # noqa: PLC0415  an extra, and slow to import where nobody traces
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"a collector of traces is named, but {error.name} is not installed: run `uv sync --group worker-tracing`, "
            "or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from None
    exporting.start()


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the variables name a collector and none says no. Raises SettingsError for what is not known here."""
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    is_off = exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or not _said(environment, "ENDPOINT"):
        return False
    if exporter != "otlp":
        raise SettingsError("OTEL_TRACES_EXPORTER: only otlp and none are known here")
    if (_said(environment, "PROTOCOL") or PROTOCOL) != PROTOCOL:
        raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL: only {PROTOCOL} is spoken here, to a collector's port 4318")
    return True


def _said(environment: Mapping[str, str], what: str) -> str:
    """The variable for traces, else the one for everything; empty when neither is set."""
    names = (f"OTEL_EXPORTER_OTLP_TRACES_{what}", f"OTEL_EXPORTER_OTLP_{what}")
    return next((value for name in names if (value := environment.get(name))), "")
