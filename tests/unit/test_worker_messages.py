"""What becomes of a message that is no job, of a bug, and of a job that cannot run now: never lost, never a crash."""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from fakes import World, message_of, reply, run_task

from hmt_pass import keys
from hmt_pass.errors import StoreError
from hmt_pass.job import Job, Lane
from hmt_pass.status import State
from worker.envelope import TaskMessage
from worker.outcomes import DeadLetteredError
from worker.settling import Settling

IMAGE = "s3://photos/a.jpg"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def call(*_: object, **__: object) -> NoReturn:
        raise error

    return call


def message(job_id: object, kwargs: dict[str, Any], args: tuple[object, ...] = (), **headers: object) -> TaskMessage:
    body = json.dumps([args, kwargs, {}]).encode()
    return TaskMessage({"id": job_id, **headers}, body, "application/json", "utf-8", "hmt_pass")


INVALID = {
    "no image": message("a", {}),
    "image is no reference": message("a", {"image": "https://photos.example/a.jpg"}),
    "image is a number": message("a", {"image": 7}),
    "image is half a character": message("a", {"image": "s3://photos/\ud800"}),
    "flag is unknown": message("a", {"image": IMAGE, "hmt_flag": 4}),
    "flag is a list": message("a", {"image": IMAGE, "hmt_flag": [0]}),
    "flag is true": message("a", {"image": IMAGE, "hmt_flag": True}),
    "etag is a number": message("a", {"image": IMAGE, "etag": 7}),
    "unknown argument": message("a", {"image": IMAGE, "priority": 9}),
    "self as an argument": message("a", {"image": IMAGE, "self": 1}),
    "positional arguments": message("a", {}, (IMAGE, 0)),
    "job id is no key": message("../etc/passwd", {"image": IMAGE}),
    "job id is a number": message(7, {"image": IMAGE}),
    "job id is missing": message(None, {"image": IMAGE}),
}


@pytest.mark.parametrize("invalid", INVALID.values(), ids=INVALID)
def test_a_message_that_is_no_job_is_one_dead_letter_however_often_it_is_delivered(
    world: World, invalid: TaskMessage
) -> None:
    ends = [run_task(invalid, invalid.headers["id"]).end for _ in range(2)]
    [letter] = world.services.dead_letters.list()
    assert (["dead"] * 2, "invalid job", []) == (ends, letter.reason[:11], world.client.calls)
    assert re.fullmatch(r"invalid-[0-9a-f]{24}|a", letter.job_id)


def test_a_message_that_is_no_job_does_not_touch_the_job_of_the_same_id(world: World) -> None:
    job = world.job(job_id="a")
    world.run(job)
    run_task(message("a", {"image": "no reference"}), "a")
    [letter] = world.services.dead_letters.list()
    assert (True, State.RECOGNIZED) == (letter.job_id.startswith("invalid-"), world.status(job).state)


def test_a_registered_job_with_wrong_arguments_is_dead_under_its_own_id(world: World) -> None:
    world.store.hset(keys.job("a"), "state", "queued")
    run_task(message("a", {"image": "no reference"}), "a")
    assert ("dead", "a") == (world.services.claims.fields("a")["state"], world.services.dead_letters.find("a").job_id)
    assert 1 == world.store.llen("hmt_pass.dead_letter")


def test_a_message_that_kombu_restored_is_the_same_message(world: World) -> None:
    fresh, restored = message("a", {}), message("a", {}, redelivered=True)  # what kombu adds when a worker died
    run_task(fresh, "a")
    run_task(restored, "a")
    assert 1 == world.services.dead_letters.count()


def test_two_invalid_messages_are_two_dead_letters(world: World) -> None:
    run_task(message("a", {}), "a")
    run_task(message("b", {}), "b")
    assert 2 == world.services.dead_letters.count()


def test_two_messages_without_an_id_that_differ_in_a_header_are_two_dead_letters(world: World) -> None:
    for lang in ("py", "any"):
        run_task(message(None, {}, lang=lang), None)
    assert 2 == world.services.dead_letters.count()


def test_a_dead_letter_says_what_is_wrong_with_the_message(world: World) -> None:
    invalid = message("a", {"image": IMAGE, "hmt_flag": 4})
    run_task(invalid, "a")
    [letter] = world.services.dead_letters.list()
    assert ("invalid job", True) == (letter.reason, letter.detail.startswith("hmt_flag is 0"))


def test_a_job_id_that_stands_for_another_image_is_dead_lettered_beside_the_job(world: World) -> None:
    job = world.job(job_id="mine")
    world.run(job)
    other = world.job("two", key="b.jpg", job_id="mine")
    assert "dead" == world.run(other).end
    [letter] = world.services.dead_letters.list()
    assert ("invalid-", "job conflict") == (letter.job_id[:8], letter.reason[:12])
    assert (State.RECOGNIZED, str(job.image)) == (world.status(job).state, world.status(job).image)


@pytest.mark.parametrize("error", [ZeroDivisionError("欧阳试样"), MemoryError(), SystemExit(1), KeyboardInterrupt()])
def test_a_bug_is_a_dead_letter_that_names_the_place_and_no_content(world: World, error: BaseException) -> None:
    job = world.job()
    world.script(error)
    run = world.run(job)
    letter = world.services.dead_letters.find(job.job_id)
    assert letter is not None
    assert re.fullmatch(rf"bug: {type(error).__name__} in recognize \(fakes\.py:\d+\)", letter.reason)
    assert (State.DEAD, letter.reason) == (world.status(job).state, str(run.raised))
    assert "欧阳试样" not in json.dumps(letter.as_dict(), ensure_ascii=False)


def test_a_bug_while_the_job_is_claimed_is_a_dead_letter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.claims.Claims.claim", raising(ZeroDivisionError()))
    job = world.job()
    assert "dead" == world.run(job).end
    assert 1 == world.services.dead_letters.count()


def test_a_bug_even_in_the_dead_letter_gives_the_message_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.dead_letters.DeadLetters.put", raising(ZeroDivisionError()))
    world.script(reply("1001"))
    assert "requeued" == world.run(world.job()).end


def test_a_bug_while_a_job_is_settled_is_a_dead_letter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settling, "reject", raising(ZeroDivisionError()))
    world.script(reply("1004"))
    job = world.job()
    assert "dead" == world.run(job).end
    assert 1 == world.services.dead_letters.count()


def test_a_bug_while_redis_is_down_gives_the_message_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settling, "reject", raising(ZeroDivisionError()))
    monkeypatch.setattr("worker.dead_letters.DeadLetters.put", raising(StoreError("Redis: no answer")))
    world.script(reply("1004"))
    assert "requeued" == world.run(world.job()).end


def test_a_job_during_a_hold_goes_back_to_its_place_untouched(world: World) -> None:
    job = world.job()
    world.services.hold.open("no money", by="a test")
    run = world.run(job)
    assert ("requeued", []) == (run.end, world.client.calls)
    assert not world.is_delayed(job)
    assert {keys.HOLD} == set(world.store.scan_iter())


def test_a_hold_that_opens_before_the_call_prevents_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.job()
    source = world.services.sender.source

    def late(photo: Any) -> Any:  # noqa: ANN401  passed through
        world.services.hold.open("no money", by="another worker")
        return source(photo)

    monkeypatch.setattr("worker.sending.Sender.source", lambda _self, photo: late(photo))
    assert ("requeued", []) == (world.run(job).end, world.client.calls)
    assert State.HELD is world.status(job).state
    assert not world.store.exists(keys.claim(job.job_id))


def test_a_hold_that_is_released_lets_the_job_run(world: World) -> None:
    job = world.job()
    world.services.hold.open("no money", by="a test")
    world.run(job)
    world.services.hold.release(by="a test")
    assert "done" == world.run(job).end


def test_the_second_proof_of_a_bad_account_leaves_the_first_reason(world: World) -> None:
    one, two = world.job("one", key="1.jpg"), world.job("two", key="2.jpg")

    def meanwhile() -> Any:  # noqa: ANN401  a reply
        world.services.hold.open("the first", by="another worker")
        return reply("9980")

    world.script(meanwhile)
    world.run(one)
    info = world.services.hold.info()
    assert info is not None
    assert "the first" == info.reason
    assert "requeued" == world.run(two).end


def test_a_redis_that_is_down_gives_the_message_back(world: World) -> None:
    job = world.job()
    world.server.connected = False
    run = world.run(job)
    assert ("requeued", []) == (run.end, world.client.calls)


def test_a_redis_that_goes_down_before_the_dead_letter_is_put_gives_the_message_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.dead_letters.DeadLetters.put", raising(StoreError("Redis: no answer")))
    world.script(reply("1001"))
    assert "requeued" == world.run(world.job()).end


def test_a_dead_letter_is_put_before_the_task_ends(world: World) -> None:
    job = world.job(lane=Lane.BULK)
    world.script(reply("1002", reason="hmt_flag is missing"))
    run = world.run(job)
    letter = world.services.dead_letters.find(job.job_id)
    assert isinstance(run.raised, DeadLetteredError)
    assert "1002 hmt_flag is missing" == str(run.raised)
    assert letter is not None
    assert ("1002", "a message", "TID-1002", str(job.image), 0, "a-host:1", 0) == (
        letter.code,
        letter.msg,
        letter.request_id,
        letter.image,
        letter.hmt_flag,
        letter.worker,
        letter.redriven,
    )
    [attempt] = letter.attempts
    assert ("1002", "a parameter is wrong; see reason") == (attempt["code"], attempt["meaning"])
    assert letter.first_failure_at == letter.last_failure_at == letter.dead_at


def test_a_delayed_message_comes_back_to_its_own_queue(world: World) -> None:
    job = world.job(lane=Lane.BULK)
    world.script(reply("9999"))
    world.run(job)
    world.store.zadd(keys.DELAYED, {job.job_id: 0})
    assert 1 == world.services.delayed.move_due()
    assert 1 == world.store.llen("hmt_pass.bulk")


def test_a_message_with_a_foreign_routing_key_comes_back_to_a_queue_that_is_consumed(world: World) -> None:
    job = world.job()
    sent = message_of(job)
    foreign = TaskMessage(sent.headers, sent.body, sent.content_type, sent.content_encoding, "")
    world.script(reply("9999"))
    run_task(foreign, job.job_id)
    world.store.zadd(keys.DELAYED, {job.job_id: 0})
    world.services.delayed.move_due()
    assert 1 == world.store.llen("hmt_pass")


def test_an_error_of_redis_at_the_release_of_the_claim_does_not_fail_a_finished_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.claims.Claims.release", raising(StoreError("Redis: no answer")))
    assert "done" == world.run(world.job()).end


def test_a_job_without_a_lane_of_ours_counts_as_interactive(world: World) -> None:
    job = Job.from_message("a", (), {"image": IMAGE}, "celery")
    world.job()
    run_task(message_of(job), "a")
    assert "interactive" == world.status(job).lane
