"""Structured logs: a constant event name and fields, JSON or for a person. Ids and references only."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

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
        foreign_pre_chain=[*shared, _job_of_celery],
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


def _job_of_celery(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Have celery's lines about a job, its arrival for one, name it in a field, not within the text alone."""
    about = getattr(line["_record"], "data", None)
    if isinstance(about, dict) and "id" in about:
        line.setdefault("job_id", about["id"])
    return line


def job_begins(job_id: object) -> None:
    """Have every log line of this thread carry the job's id, whoever writes it, until `job_ends`."""
    structlog.contextvars.bind_contextvars(job_id=job_id)


def attempt_begins(number: int) -> None:
    """Have them carry the number of the attempt too, from its call to the end of the run."""
    structlog.contextvars.bind_contextvars(attempt=number)


def job_ends() -> None:
    """The next line of this thread is about something else."""
    structlog.contextvars.unbind_contextvars("job_id", "attempt")
