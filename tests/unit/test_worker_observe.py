import json
import logging
from datetime import datetime

import pytest

from worker import observe
from worker.redaction import redact
from worker.settings import LogFormat

pytestmark = pytest.mark.usefixtures("root_logger")

BASE64 = "QUJD" * 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sign=0a1b2c&api_id=me", "sign=***&api_id=me"),
        ('{"sign": "0a1b2c", "code": "1000"}', '{"sign": "***", "code": "1000"}'),
        ("api_secret='hush', api_id='me'", "api_secret='***', api_id='me'"),
        ("API_SECRET=hush", "API_SECRET=***"),
        ("https://s3/a.jpg?X-Amz-Signature=ab12&x=1", "https://s3/a.jpg?X-Amz-Signature=***&x=1"),
        ("?X-Amz-Credential=AKIA%2Fus&X-Amz-Security-Token=tok", "?X-Amz-Credential=***&X-Amz-Security-Token=***"),
        ("redis://:hush@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://me:hush@host", "rediss://me:***@host"),
        ("amqp://me:hush@host", "amqp://me:***@host"),
        ("card C12345678 read", "card *** read"),
        ("c10563465", "***"),
        ("CA1234567 and L12345678", "*** and ***"),
        (f"image_base64 {BASE64}== end", "image_base64 *** end"),
        ("job 5aedeaa0170e9a92d0337e279ba2b667 finished", "job 5aedeaa0170e9a92d0337e279ba2b667 finished"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("designed: nothing", "designed: nothing"),
        ("", ""),
    ],
)
def test_secrets_and_card_numbers_are_cut_out_and_nothing_else_is(text: str, expected: str) -> None:
    assert expected == redact(text)


def test_our_lines_and_the_libraries_come_out_as_one_kind_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    observe.job_begins("a")
    observe.log.warning("job.retrying", delay_s=2.5)
    logging.getLogger("celery.worker").info("Connected to %s", "redis://:hush@host")
    observe.job_ends()
    ours, theirs = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert ("job.retrying", 2.5, "warning", "hmt_pass", "a") == tuple(
        ours[name] for name in ("event", "delay_s", "level", "logger", "job_id")
    )
    assert ("Connected to redis://:***@host", "info", "celery.worker", "a") == tuple(
        theirs[name] for name in ("event", "level", "logger", "job_id")
    )
    assert ours["timestamp"].endswith("Z")


@pytest.mark.parametrize("log_format", LogFormat)
def test_a_traceback_is_redacted_too(log_format: LogFormat, capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(log_format)
    error = ValueError("no answer to sign=0a1b2c for\nC12345678")
    logging.getLogger("celery.app.trace").error("Task failed", exc_info=error)
    line = capfd.readouterr().err
    assert "ValueError" in line
    assert ("0a1b2c" in line, "C12345678" in line) == (False, False)


def test_what_is_nested_in_a_field_is_redacted_too(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    observe.log.warning("something", reply={"cardNum": "C12345678"}, calls=["sign=0a1b2c"])
    line = capfd.readouterr().err
    assert ("0a1b2c" in line, "C12345678" in line) == (False, False)


@pytest.mark.parametrize(
    "text",
    ['{"sign": "0a1b2c"}', 'sign="0a1b2c", next', "sign='0a1b2c'", "read\nC12345678", "read\tC12345678", "C12345678\\"],
)
def test_redaction_sees_through_the_quoting_of_json(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    observe.log.warning("something", body=text)
    line = capfd.readouterr().err
    assert "***" in json.loads(line)["body"]
    assert ("0a1b2c" in line, "C12345678" in line) == (False, False)


def test_every_line_has_its_time(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    observe.log.info("something")
    assert datetime.fromisoformat(json.loads(capfd.readouterr().err)["timestamp"]).tzinfo is not None


def test_a_person_gets_lines_to_read(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.CONSOLE)
    observe.log.info("job.finished", code="0000", url="redis://:hush@host")
    line = capfd.readouterr().err
    assert "job.finished" in line
    assert "code=0000" in line
    assert "hush" not in line


def test_libraries_that_print_signatures_at_debug_are_kept_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON, logging.DEBUG)
    for name in ("urllib3", "botocore", "kombu"):
        logging.getLogger(name).info("POST /v2/ocr/hmt_pass")
    logging.getLogger("hmt_pass").debug("seen")
    assert ["seen"] == [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()]
