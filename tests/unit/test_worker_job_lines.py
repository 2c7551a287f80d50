"""Every line of a job has its id, and from its call on its attempt: with celery's own tracer around the task."""

import json
import logging
import re
from collections.abc import Callable

import pytest
from celery.app.trace import LOG_RECEIVED
from fakes import Answer, World, message_of, reply, trace_task

from hmt_pass.permit import Reply
from tasks.recognize import recognize
from worker import observe, unreadable
from worker.outcomes import UnreadableMessageError
from worker.settings import LogFormat

pytestmark = pytest.mark.usefixtures("root_logger")

Line = tuple[str | None, str | None]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def chatting(answer: Reply) -> Callable[[], Reply]:
    """An endpoint whose client's library says something in the middle of the call."""

    def call() -> Reply:
        logging.getLogger("a.library").warning("slow")
        return answer

    return call


def lines_of(text: str, log_format: LogFormat) -> list[Line]:
    """Job id and attempt of each line."""
    if log_format is LogFormat.JSON:
        parsed = [json.loads(line) for line in text.splitlines()]
        return [(line.get("job_id"), str(line["attempt"]) if "attempt" in line else None) for line in parsed]
    found = [(re.search(r"\bjob_id=(\S+)", line), re.search(r"\battempt=(\d+)", line)) for line in begun(text)]
    return [(job_id[1] if job_id else None, attempt[1] if attempt else None) for job_id, attempt in found]


def begun(text: str) -> list[str]:
    """The lines that begin with a time; what follows one is its traceback."""
    return [line for line in text.splitlines() if re.match(r"\d{4}-\d\d-\d\dT", line)]


@pytest.mark.parametrize("log_format", LogFormat)
def test_every_line_of_a_job_has_its_id_and_its_attempt(
    world: World, capfd: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    observe.configure(log_format)
    job = world.job()
    world.script(chatting(reply("9999")), chatting(reply()))
    trace_task(job)
    trace_task(job)
    logging.getLogger("a.library").warning("between jobs")
    text = capfd.readouterr().err
    # The library's, ours about the end, celery's about the end: of each attempt.
    assert [(job.job_id, "1")] * 3 + [(job.job_id, "2")] * 3 + [(None, None)] == lines_of(text, log_format)
    for words in ("slow", "job.retrying", "retry: ", "job.finished", "succeeded in", "between jobs"):
        assert words in text


ENDS: dict[str, Answer] = {
    "rejected": reply("1004"),
    "snoozed": reply("1009"),
    "dead": reply("1001"),
    "held": reply("9980"),
    "a bug": ZeroDivisionError(),
}


@pytest.mark.parametrize("log_format", LogFormat)
@pytest.mark.parametrize("answer", ENDS.values(), ids=ENDS)
def test_whatever_the_end_of_a_job_its_lines_name_it(
    world: World, capfd: pytest.CaptureFixture[str], answer: Answer, log_format: LogFormat
) -> None:
    observe.configure(log_format)
    job = world.job()
    world.script(answer)
    trace_task(job)
    lines = lines_of(capfd.readouterr().err, log_format)
    assert 2 <= len(lines)
    assert {(job.job_id, "1")} == set(lines)


@pytest.mark.parametrize("log_format", LogFormat)
def test_a_job_that_calls_nobody_has_no_attempt(
    world: World, capfd: pytest.CaptureFixture[str], log_format: LogFormat
) -> None:
    observe.configure(log_format)
    world.services.hold.open("closed for lunch", by="me")
    job = world.job()
    trace_task(job)
    text = capfd.readouterr().err
    assert [(job.job_id, None)] * 2 == lines_of(text, log_format)
    assert "job.given_back" in text


def test_celerys_line_about_the_arrival_of_a_job_names_it_too(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    about = {"id": "order-4711", "name": recognize.name}
    logging.getLogger("celery.worker.strategy").info(LOG_RECEIVED, about, extra={"data": about})
    line = json.loads(capfd.readouterr().err)
    assert ("Task hmt_pass.recognize[order-4711] received", "order-4711") == (line["event"], line["job_id"])


def test_a_message_that_nobody_can_run_is_logged_under_the_id_of_its_dead_letter(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    observe.configure(LogFormat.JSON)
    assert unreadable.bury(message_of(world.job(), id="../a"), UnreadableMessageError("ValueError"))
    line = json.loads(capfd.readouterr().err)
    [letter] = world.services.dead_letters.list()
    assert ("job.dead_lettered", letter.job_id) == (line["event"], line["job_id"])
