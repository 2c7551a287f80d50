"""Structured logs: a constant event name and fields, JSON or for a person. Ids and references only."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor, WrappedLogger

from worker.redaction import redact
from worker.settings import LogFormat

log: structlog.stdlib.BoundLogger = structlog.get_logger("hmt_pass")


def configure(log_format: LogFormat, level: int = logging.INFO) -> None:
    """Send every log line of the process, celery's and the libraries' too, to stderr in one format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if log_format is LogFormat.CONSOLE
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last, _redacted],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("urllib3", "botocore", "boto3", "s3transfer", "amqp", "kombu"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))  # at DEBUG they print signatures and bodies


def _redacted(_logger: WrappedLogger, _name: str, line: Any) -> str:  # noqa: ANN401  the renderer before makes it a str
    """The finished line, so that tracebacks and nested values are covered too."""
    return redact(str(line))


def bind(**fields: Any) -> Any:  # noqa: ANN401  structlog's own types
    """A context in which every log line of this thread carries the fields."""
    return structlog.contextvars.bound_contextvars(**fields)
