"""The span of a run: in which trace it is, what it says, and which end is an error."""

from collections.abc import Iterator

import kombu
import pytest
from brokers import look_in_redis
from fakes import BUCKET, Answer, World, jpeg, message_of, reply, run_task
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from traced import Recorder, id_of, notes, parent_of

from hmt_pass import keys
from hmt_pass.codes import meaning
from hmt_pass.errors import StorageError, StoreError, UnansweredError
from hmt_pass.job import Lane
from hmt_pass.permit import Reply
from worker.envelope import TaskMessage
from worker.redrives import Redrives
from worker.redriving import Redriving
from worker.wanted import Wanted

TRACE_ID, SPAN_ID = 0xA1, 0xB2
TRACEPARENT = f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-01"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr("worker.spans._tracer", recorder.provider.get_tracer("worker"))
    return recorder


def published(lane: Lane = Lane.INTERACTIVE) -> Iterator[TaskMessage]:
    """Take what lies in a queue of the broker in memory."""
    with kombu.Connection("memory://") as connection:
        while message := connection.default_channel.basic_get(lane.queue, no_ack=True):
            yield TaskMessage.received(message)


def in_redis(world: World, lane: Lane = Lane.INTERACTIVE) -> TaskMessage:
    """The message that the worker itself has put back on its queue."""
    [found] = look_in_redis(world.store, lane.queue)
    world.store.delete(lane.queue)
    return TaskMessage(found.headers, found.body, "application/json", "utf-8", lane.queue)


def test_a_run_is_in_the_trace_of_its_enqueue(world: World, recorder: Recorder) -> None:
    list(published())
    world.job()
    with recorder.web_app() as request:
        job_id = world.producer.enqueue(f"s3://{BUCKET}/a.jpg")
    [message] = published()
    run_task(message, job_id)

    publishing, _, run = recorder.spans
    assert "apply_async/hmt_pass.recognize" == publishing.name
    assert (id_of(request), id_of(publishing)) == (parent_of(publishing), parent_of(run))
    assert request.get_span_context().trace_id == run.get_span_context().trace_id


def test_each_enqueue_of_a_batch_is_in_the_web_apps_span_and_leaves_it_in_place(
    world: World, recorder: Recorder
) -> None:
    list(published(Lane.BULK))
    with recorder.web_app() as request:
        world.producer.enqueue_many([(f"s3://{BUCKET}/{n}.jpg", {"lane": "bulk"}) for n in range(3)])
        assert id_of(request) == trace.get_current_span().get_span_context().span_id
    contexts = [message.headers["traceparent"].split("-")[2] for message in published(Lane.BULK)]
    *publishing, _ = recorder.spans
    assert [f"{id_of(span):016x}" for span in publishing] == contexts
    assert [id_of(request)] * 3 == [parent_of(span) for span in publishing]


def test_a_run_after_a_delay_and_one_after_a_redrive_are_in_the_same_trace(world: World, recorder: Recorder) -> None:
    job = world.job()
    world.script(reply("9999"), reply("1001"))
    run_task(message_of(job, traceparent=TRACEPARENT, tracestate="shop=1"), job.job_id)
    world.store.zadd(keys.DELAYED, {job.job_id: 0})
    world.services.delayed.move_due()
    run_task(in_redis(world), job.job_id)
    wanted = Wanted(job_ids=(job.job_id,))
    letters = [letter for letter, _ in world.services.dead_letters.select(wanted)]
    Redrives(world.store).keep("again", letters, "ann", {})
    assert 1 == Redriving(world.services, "ann").run("again")
    run_task(in_redis(world), job.job_id)

    assert ["retry", "dead letter", "done"] == [notes(run)["disposition"] for run in recorder.runs]
    assert [SPAN_ID] * 3 == [parent_of(run) for run in recorder.runs]
    assert {TRACE_ID} == {run.get_span_context().trace_id for run in recorder.runs}
    assert {"shop=1"} == {run.get_span_context().trace_state.to_header() for run in recorder.runs}


@pytest.mark.parametrize("junk", [None, 7, "", "junk", [TRACEPARENT], {}, f"00-{0:032x}-{SPAN_ID:016x}-01"])
def test_a_message_without_a_trace_that_can_be_read_is_run_in_one_of_its_own(
    world: World, recorder: Recorder, junk: object
) -> None:
    job = world.job()
    assert "done" == run_task(message_of(job, traceparent=junk, tracestate=junk), job.job_id).end
    [run] = recorder.runs
    assert run.parent is None


ENDS: dict[str, tuple[Answer, dict[str, object]]] = {
    "done": (reply(), {"state": "recognized", "code": "0000"}),
    "reject": (reply("1004"), {"state": "rejected", "code": "1004", "reason": meaning("1004")}),
    "retry": (reply("9999"), {"state": "retrying", "code": "9999", "reason": meaning("9999")}),
    "snooze": (reply("1009"), {"state": "queued", "code": "1009", "reason": meaning("1009")}),
    "dead letter": (reply("1001"), {"state": "dead", "code": "1001", "reason": meaning("1001")}),
}


@pytest.mark.parametrize(("disposition", "answer", "expected"), [(name, *end) for name, end in ENDS.items()], ids=ENDS)
def test_a_run_says_what_became_of_its_job(
    world: World, recorder: Recorder, disposition: str, answer: Answer, expected: dict[str, object]
) -> None:
    job = world.job(lane="bulk")
    world.script(answer)
    world.run(job)
    [run] = recorder.runs
    about = {"job_id": job.job_id, "lane": "bulk", "attempt": 1, "disposition": disposition}
    assert {**about, **expected} == notes(run)


def test_a_run_without_an_answer_has_no_code_and_one_without_a_call_no_attempt(
    world: World, recorder: Recorder
) -> None:
    job = world.job()
    world.script(UnansweredError("timed out"))
    world.run(job)
    world.storage.get_error = StorageError("down")
    world.run(job)
    unanswered, unread = recorder.runs
    about = {"job_id": job.job_id, "lane": "interactive", "disposition": "retry", "state": "retrying"}
    assert {**about, "attempt": 1, "reason": UnansweredError.reason} == notes(unanswered)
    assert {**about, "reason": StorageError.reason} == notes(unread)


def test_a_job_that_is_delivered_again_after_its_end_has_one_more_run(world: World, recorder: Recorder) -> None:
    job = world.job()
    world.run(job)
    world.run(job)
    about = {"job_id": job.job_id, "lane": "interactive"}
    assert {**about, "disposition": "done", "state": "recognized"} == notes(recorder.runs[-1])


@pytest.mark.parametrize("held", [True, False], ids=["held", "Redis is away"])
def test_a_message_that_goes_back_to_its_queue_is_a_snooze(
    world: World, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("Redis: no answer")

    if held:
        world.services.hold.open("closed for lunch", by="me")
    else:
        monkeypatch.setattr("worker.claims.Claims.claim", fail)
    assert "requeued" == world.run(world.job()).end
    [run] = recorder.runs
    assert ("snooze", "queued") == (notes(run)["disposition"], notes(run)["state"])


QUIET: list[Answer] = [reply(), reply("1004"), reply("9999"), reply("1009"), UnansweredError("timed out")]


@pytest.mark.parametrize("answer", QUIET, ids=["done", "rejected", "retried", "snoozed", "unanswered"])
def test_what_ends_a_run_for_celery_is_no_error_in_its_trace(world: World, recorder: Recorder, answer: Answer) -> None:
    world.script(answer)
    world.run(world.job())
    [run] = recorder.runs
    assert (StatusCode.UNSET, ()) == (run.status.status_code, run.events)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply("1001"), meaning("1001")),
        (reply("9980"), meaning("9980")),
        (ZeroDivisionError(), "bug: ZeroDivisionError in recognize"),
    ],
    ids=["refused", "account", "bug"],
)
def test_a_dead_letter_is_an_error_without_a_stack(
    world: World, recorder: Recorder, answer: Answer, reason: str
) -> None:
    world.script(answer)
    world.run(world.job())
    [run] = recorder.runs
    assert (StatusCode.ERROR, ()) == (run.status.status_code, run.events)
    assert str(run.status.description).startswith(reason)


@pytest.mark.usefixtures("world")
def test_a_message_that_is_no_job_is_an_error_too(recorder: Recorder) -> None:
    message = TaskMessage({"id": "a"}, b"[[], {}, {}]", "application/json", "utf-8", "hmt_pass")
    run_task(message, "a")
    [run] = recorder.runs
    assert (StatusCode.ERROR, "invalid job") == (run.status.status_code, notes(run)["reason"])


def test_an_image_that_is_refused_before_the_call_has_its_code(world: World, recorder: Recorder) -> None:
    job = world.job()
    world.storage.put(BUCKET, "a.jpg", jpeg()[:200])
    world.run(job)
    [run] = recorder.runs
    assert ("reject", "1015") == (notes(run)["disposition"], notes(run)["code"])
    assert "attempt" not in notes(run)


def test_a_hold_that_another_job_has_opened_meanwhile_shows_the_code(world: World, recorder: Recorder) -> None:
    def refused_late() -> Reply:
        world.services.hold.open("empty", by="another worker")
        return reply("9980")

    world.script(refused_late)
    assert "requeued" == world.run(world.job()).end
    [run] = recorder.runs
    assert ("snooze", "9980", 1) == tuple(notes(run)[name] for name in ("disposition", "code", "attempt"))
