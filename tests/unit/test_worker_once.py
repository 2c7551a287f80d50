"""What is paid for is paid for once: redelivery, duplicates, lost claims, outages between two steps, and redrives."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import BUCKET, World, jpeg, reply

from hmt_pass import keys
from hmt_pass.codes import Code
from hmt_pass.errors import (
    DocumentError,
    ImageRejectedError,
    ObjectDeniedError,
    StorageError,
    StoreError,
    UnansweredError,
)
from hmt_pass.job import Job
from hmt_pass.permit import Flag, Reply
from hmt_pass.status import State
from worker.calls import Calls, End
from worker.storage import MAX_DOCUMENT_BYTES


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def steal(world: World, job: Job) -> None:
    """Another worker takes the job over, as it may once the claim has expired."""
    world.store.set(keys.claim(job.job_id), "another worker")
    world.store.hset(keys.job(job.job_id), "claimed_by", "another worker")


def test_a_finished_job_that_is_delivered_again_calls_nobody(world: World) -> None:
    job = world.job()
    first, second = world.run(job), world.run(job)
    assert (first.end, second.returned) == ("done", {"job_id": job.job_id, "state": "recognized"})
    assert 1 == world.client.charges


def test_a_rejected_job_that_is_delivered_again_stays_rejected(world: World) -> None:
    job = world.job()
    world.script(reply("1004"))
    world.run(job)
    assert {"job_id": job.job_id, "state": "rejected"} == world.run(job).returned
    assert 1 == len(world.client.calls)


def test_a_dead_job_that_is_delivered_again_keeps_its_dead_letter(world: World) -> None:
    job = world.job()
    world.script(reply("1001"))
    world.run(job)
    world.run(job)  # its worker was killed between the dead letter and the acknowledgement
    assert world.services.dead_letters.find(job.job_id) is not None
    assert (State.DEAD, 1) == (world.status(job).state, len(world.client.calls))


@pytest.mark.parametrize("error", [StorageError("down"), ObjectDeniedError("denied")])
def test_a_paid_reply_that_could_not_be_stored_is_stored_by_the_next_run(
    world: World, error: StorageError | ObjectDeniedError
) -> None:
    job = world.job()
    world.storage.put_error = error
    assert ("delayed", State.RETRYING) == (world.run(job).end, world.status(job).state)
    world.storage.put_error = None
    assert ("done", "欧阳试样") == (world.run(job).end, world.stored(job)["permit"]["nameChn"])
    assert 1 == world.client.charges
    assert not world.store.exists(keys.receipt(job.job_id))


def test_a_receipt_names_the_photo_that_was_read_even_if_it_is_gone_meanwhile(world: World) -> None:
    job = world.job()
    world.storage.put_error = StorageError("down")
    world.run(job)
    world.storage.put_error = None
    world.storage.objects.clear()
    assert "done" == world.run(job).end
    assert f"s3://{BUCKET}/a.jpg" == world.stored(job)["source"]["image"]


def test_a_rejection_that_could_not_be_stored_is_tried_again(world: World) -> None:
    job = world.job()
    world.script(reply("1004"), reply("1004"))
    world.storage.put_error = StorageError("down")
    assert "delayed" == world.run(job).end
    world.storage.put_error = None
    assert ("done", State.REJECTED) == (world.run(job).end, world.status(job).state)


def test_a_worker_that_died_in_a_call_leaves_a_possible_charge(world: World) -> None:
    job = world.job()
    world.services.calls.begin(world.services.claims.claim(job))
    world.let_the_claim_expire(job)
    assert "done" == world.run(job).end
    died, read = world.stored(job)["attempts"]
    assert ("worker died", True, 1) == (died["error"], died["possibly_charged"], died["attempt"])
    assert ("0000", 2) == (read["code"], read["attempt"])


def test_workers_that_keep_dying_in_a_call_end_as_a_dead_letter(world: World) -> None:
    job = world.job()
    for _ in range(2):
        world.services.calls.begin(world.services.claims.claim(job))
        world.let_the_claim_expire(job)
    assert ("dead", []) == (world.run(job).end, world.client.calls)
    assert "possibly charged too often" == world.status(job).reason


def test_a_job_whose_worker_died_before_its_photo_broke_is_rejected(world: World) -> None:
    job = world.job()
    world.services.calls.begin(world.services.claims.claim(job))
    world.let_the_claim_expire(job)
    world.storage.put(BUCKET, "a.jpg", b"no image any more")
    assert ("done", State.REJECTED) == (world.run(job).end, world.status(job).state)


def test_a_job_that_another_worker_runs_waits_and_writes_nothing(world: World) -> None:
    job = world.job()
    world.services.claims.claim(job)
    before = world.fields(job)
    assert "delayed" == world.run(job).end
    assert (before, []) == (world.fields(job), world.client.calls)


def test_a_job_whose_claim_was_lost_in_the_call_waits_and_overwrites_nothing(world: World) -> None:
    job = world.job()

    def slow() -> Reply:
        steal(world, job)
        return reply()

    world.script(slow)
    assert "delayed" == world.run(job).end
    assert "running" == world.status(job).state
    assert (None, False) == (
        world.result(job),
        (BUCKET, f"hmt-pass/{job.job_id}.json") in world.storage.objects,
    )
    assert "another worker" == world.store.get(keys.claim(job.job_id))


def test_a_failure_of_a_worker_that_lost_its_claim_does_not_touch_the_job(world: World) -> None:
    job = world.job()

    def slow() -> Reply:
        steal(world, job)
        return reply("9980")

    world.script(slow)
    assert "delayed" == world.run(job).end
    assert not world.services.hold.is_on()
    assert (None, State.RUNNING) == (world.services.dead_letters.find(job.job_id), world.status(job).state)


def test_a_paid_reply_survives_the_loss_of_the_claim(world: World) -> None:
    job = world.job()

    def slow() -> Reply:
        steal(world, job)
        return reply()

    world.script(slow)
    world.run(job)
    world.let_the_claim_expire(job)
    assert ("done", 1) == (world.run(job).end, world.client.charges)


def test_a_claim_that_is_lost_before_the_call_prevents_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.job()
    get = world.storage.get

    def slow_get(*args: object) -> object:
        steal(world, job)
        return get(*args)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(world.storage, "get", slow_get)
    assert ("delayed", []) == (world.run(job).end, world.client.calls)


def test_the_same_content_under_another_key_is_copied_and_free(world: World) -> None:
    one, two = world.job(key="1.jpg"), world.job(key="2.jpg")
    world.run(one)
    assert ("done", 1) == (world.run(two).end, world.client.charges)
    copy = world.stored(two)
    assert (one.job_id, None, []) == (copy["copied_from"], copy["charge"], copy["attempts"])
    assert (two.job_id, f"s3://{BUCKET}/2.jpg") == (copy["job_id"], copy["source"]["image"])
    assert world.stored(one)["permit"] == copy["permit"]


def test_the_same_content_with_another_flag_is_read_again(world: World) -> None:
    world.run(world.job())
    world.run(world.job(flag=Flag.TAIWAN))
    assert 2 == world.client.charges


def test_a_window_of_zero_turns_the_copying_off(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(monkeypatch, dedupe_window_s=0)
    world.run(world.job(key="1.jpg"))
    world.run(world.job(key="2.jpg"))
    assert 2 == world.client.charges


def test_content_whose_result_was_cleaned_away_is_read_again(world: World) -> None:
    one, two = world.job(key="1.jpg"), world.job(key="2.jpg")
    world.run(one)
    del world.storage.objects[BUCKET, f"hmt-pass/{one.job_id}.json"]
    assert ("done", 2) == (world.run(two).end, world.client.charges)


NO_DOCUMENTS = [b"<html>not json</html>", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b" " * (MAX_DOCUMENT_BYTES + 1)]


def damage(world: World, job: Job, body: bytes) -> None:
    """What somebody else has written over the result in S3."""
    world.storage.put(BUCKET, f"hmt-pass/{job.job_id}.json", body)


@pytest.mark.parametrize("body", NO_DOCUMENTS, ids=lambda body: repr(body[:6]))
def test_a_result_that_was_damaged_in_s3_is_put_right_and_the_end_stays(world: World, body: bytes) -> None:
    job = world.job()
    world.run(job)
    expected = world.stored(job)
    damage(world, job, body)
    assert ("done", State.RECOGNIZED) == (world.run(job).end, world.status(job).state)
    assert (expected, 0, 1) == (world.stored(job), world.services.dead_letters.count(), world.client.charges)


@pytest.mark.parametrize("body", NO_DOCUMENTS, ids=lambda body: repr(body[:6]))
def test_content_whose_result_was_damaged_is_read_again(world: World, body: bytes) -> None:
    one, two = world.job(key="1.jpg"), world.job(key="2.jpg")
    world.run(one)
    damage(world, one, body)
    assert ("done", State.RECOGNIZED) == (world.run(two).end, world.status(two).state)


@pytest.mark.parametrize(
    "error", [ImageRejectedError(Code.IMAGE_TOO_LARGE, "too large"), KeyError("a bug"), DocumentError()]
)
@pytest.mark.parametrize("end", ["0000", "1004", "1001"])
def test_whatever_goes_wrong_with_a_job_that_has_its_end_the_end_stays(
    world: World, monkeypatch: pytest.MonkeyPatch, end: str, error: Exception
) -> None:
    job = world.job()
    world.script(reply(end))
    world.run(job)
    before = world.status(job), world.services.dead_letters.find(job.job_id)

    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr("worker.results.Ours._mend", broken)
    heard: list[str] = []
    monkeypatch.setattr("worker.settling.log", SimpleNamespace(error=lambda event, **_: heard.append(event)))
    assert "done" == world.run(job).end
    assert before == (world.status(job), world.services.dead_letters.find(job.job_id))
    assert "job.end_stays" == heard[-1]


def test_a_failure_that_is_tried_again_too_often_leaves_the_end_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job()
    world.run(job)

    def broken(_: object) -> None:
        raise ObjectDeniedError("denied")

    monkeypatch.setattr("worker.results.Ours._mend", broken)
    assert {"delayed", "done"} == {world.run(job).end for _ in range(10)}
    assert (State.RECOGNIZED, 0) == (world.status(job).state, world.services.dead_letters.count())


def test_a_rejection_is_not_copied(world: World) -> None:
    world.script(reply("1004"), reply())
    world.run(world.job(key="1.jpg"))
    assert "done" == world.run(two := world.job(key="2.jpg")).end
    assert State.RECOGNIZED is world.status(two).state


def test_content_that_is_being_read_for_another_job_is_waited_for(world: World) -> None:
    one, two = world.job(key="1.jpg"), world.job(key="2.jpg")

    def meanwhile() -> Reply:
        assert "delayed" == world.run(two).end
        return reply()

    world.script(meanwhile)
    assert "done" == world.run(one).end
    assert ("the same image is being read for another job", State.QUEUED) == (
        world.status(two).reason,
        world.status(two).state,
    )
    assert ("done", 1) == (world.run(two).end, world.client.charges)


def test_a_redis_that_fails_when_a_reply_was_paid_leaves_a_possible_charge_and_no_dead_letter(world: World) -> None:
    job = world.job()

    def outage() -> Reply:
        world.server.connected = False
        return reply()

    world.script(outage)
    assert "requeued" == world.run(job).end
    world.server.connected = True
    world.let_the_claim_expire(job)
    world.store.delete(*world.store.keys("hmt_pass:content:*:claim"))
    assert "done" == world.run(job).end
    assert ["worker died", None] == [attempt["error"] for attempt in world.stored(job)["attempts"]]


def test_an_error_of_redis_while_the_job_is_claimed_gives_the_message_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StoreError("Redis: no answer")

    monkeypatch.setattr("worker.calls.Calls.end", broken)
    assert "requeued" == world.run(world.job()).end


def test_a_redriven_job_has_a_new_budget_and_its_attempts_count_on(world: World) -> None:
    job = world.job()
    world.script(*[reply("9999")] * 8)
    for _ in range(8):
        world.run(job)
    assert 1 == world.redrive(job.job_id)

    assert ("done", 9) == (world.run(job).end, world.status(job).attempts)
    assert f"{job.job_id}-9" == world.client.calls[-1]["sequence_id"]
    assert 9 == len(world.stored(job)["attempts"])
    assert "1" == world.fields(job)["redriven"]


def test_a_redriven_job_is_possibly_charged_anew(world: World) -> None:
    job = world.job()
    world.script(UnansweredError("one"), UnansweredError("two"))
    for _ in range(3):
        world.run(job)
    world.redrive(job.job_id)
    assert "done" == world.run(job).end


def test_a_job_that_is_enqueued_again_after_it_died_loses_its_dead_letter_once_it_is_read(world: World) -> None:
    job = world.job()
    world.script(reply("1001"))
    world.run(job)
    world.producer.enqueue(str(job.image))
    assert State.QUEUED is world.status(job).state
    assert ("done", State.RECOGNIZED) == (world.run(job).end, world.status(job).state)
    assert world.services.dead_letters.find(job.job_id) is None


def test_a_job_that_is_enqueued_again_after_it_died_loses_its_dead_letter_once_it_is_rejected(world: World) -> None:
    job = world.job()
    world.script(reply("1001"), reply("1004"))
    world.run(job)
    world.producer.enqueue(str(job.image))
    assert ("done", State.REJECTED) == (world.run(job).end, world.status(job).state)
    assert world.services.dead_letters.find(job.job_id) is None


def test_an_unpinned_job_that_is_enqueued_again_reads_the_photo_that_lies_there_now(world: World) -> None:
    job = world.job("one")
    world.run(job)
    world.storage.put(BUCKET, "a.jpg", jpeg("two"))
    world.producer.enqueue(str(job.image))
    assert ("done", 2) == (world.run(job).end, world.client.charges)


def test_an_unpinned_job_that_is_enqueued_again_with_the_same_photo_is_free(world: World) -> None:
    job = world.job("one")
    world.run(job)
    world.producer.enqueue(str(job.image))
    assert ("done", 1) == (world.run(job).end, world.client.charges)
    assert world.stored(job)["copied_from"] is None


def test_a_new_photo_is_read_although_the_last_one_was_paid_for_and_had_no_data(world: World) -> None:
    job = world.job("one")
    world.script(reply(data=None))
    world.run(job)
    world.storage.put(BUCKET, "a.jpg", jpeg("two"))
    world.producer.enqueue(str(job.image))
    assert "done" == world.run(job).end


def test_a_photo_that_was_paid_for_and_not_stored_is_not_bought_again_by_a_new_enqueue(world: World) -> None:
    job = world.job()
    world.storage.put_error = StorageError("down")
    world.run(job)
    world.services.claims.died(job.job_id, "exhausted: storage unavailable")
    world.storage.put_error = None
    world.producer.enqueue(str(job.image))
    assert ("done", 1) == (world.run(job).end, world.client.charges)


@pytest.mark.parametrize("answer", [reply(), reply("1004")], ids=["paid", "rejected"])
def test_a_claim_that_is_lost_while_the_result_is_written_does_not_end_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: Reply
) -> None:
    job = world.job()
    put_json = world.storage.put_json

    def slow_put(bucket: str, key: str, document: Mapping[str, Any]) -> str:
        steal(world, job)
        return put_json(bucket, key, document)

    monkeypatch.setattr(world.storage, "put_json", slow_put)
    world.script(answer)
    assert ("delayed", State.RUNNING) == (world.run(job).end, world.status(job).state)
    assert world.result(job) is None


def test_a_job_that_finds_its_own_reading_keeps_its_document(world: World) -> None:
    job = world.job()
    world.run(job)
    before = world.stored(job)
    world.producer.enqueue(str(job.image))
    world.run(job)
    assert before == world.stored(job)


def test_calls_that_never_ended_count_as_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.create(monkeypatch, max_attempts=1)
    job = world.job()
    world.services.calls.begin(world.services.claims.claim(job))
    world.let_the_claim_expire(job)
    assert ("dead", []) == (world.run(job).end, world.client.calls)
    assert "exhausted" == world.status(job).reason


def test_a_put_that_s3_carries_out_long_after_we_gave_it_up_writes_the_same_bytes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_json, documents = world.storage.put_json, []

    def put_later(bucket: str, key: str, document: Mapping[str, Any]) -> str:
        documents.append(json.dumps(document))
        if len(documents) == 1:
            raise StorageError("timed out")
        return put_json(bucket, key, document)

    monkeypatch.setattr(world.storage, "put_json", put_later)
    job = world.job()
    world.script(reply("9999"), reply())
    for _ in range(3):
        world.run(job)
    assert (2, 1) == (len(documents), len(set(documents)))


def test_a_redis_that_is_away_for_a_moment_after_a_paid_reply_does_not_cost_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    outages = iter([StoreError("Redis: no answer"), StoreError("Redis: no answer")])
    end = Calls.end

    def flaky(*args: Any) -> End:  # noqa: ANN401  passed through
        for outage in outages:
            raise outage
        return end(*args)

    monkeypatch.setattr(Calls, "end", flaky)
    assert "done" == world.run(world.job()).end
    assert 1 == world.client.charges


def test_a_redis_that_stays_away_after_a_paid_reply_gives_the_message_back_and_the_call_is_remembered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = world.job()
    with monkeypatch.context() as outage:

        def away(*_: object) -> bool:
            raise StoreError("Redis: no answer")

        outage.setattr(Calls, "end", away)
        assert "requeued" == world.run(job).end
    world.let_the_claim_expire(job)
    world.run(job)
    first, second = world.stored(job)["attempts"]
    assert ("worker died", True, "0000") == (first["error"], first["possibly_charged"], second["code"])


def test_a_reading_is_not_copied_from_a_document_that_another_photo_has_replaced(world: World) -> None:
    world.run(world.job("A", key="k.jpg"))
    world.job("B", key="k.jpg")
    world.producer.enqueue(f"s3://{BUCKET}/k.jpg")
    world.run(world.job("B", key="k.jpg"))
    calls = len(world.client.calls)

    copy = world.job("A", key="elsewhere.jpg")
    world.run(copy)

    assert (calls + 1, None) == (len(world.client.calls), world.stored(copy)["copied_from"])


def test_a_job_that_is_enqueued_again_in_mid_call_reads_the_new_photo_too(world: World) -> None:
    job = world.job("A")
    world.producer.enqueue(str(job.image))

    def overwrite() -> Reply:
        world.job("B")
        world.producer.enqueue(str(job.image))
        return reply()

    world.script(overwrite)
    world.run(job)
    assert State.QUEUED is world.status(job).state
    assert "done" == world.run(job).end
    assert (State.RECOGNIZED, 2) == (world.status(job).state, len(world.client.calls))
    assert world.stored(job)["source"]["sha256"] == world.storage.get(job.image, 10**6).sha256


def test_a_reply_with_half_a_character_is_kept(world: World) -> None:
    job = world.job()
    world.script(reply(data={"nameChn": "\ud840", "cardNum": "C00000000"}))
    assert "done" == world.run(job).end
    assert "?" == world.stored(job)["permit"]["nameChn"]


def test_a_reply_that_does_not_say_whether_it_was_charged_counts_as_charged(world: World) -> None:
    job = world.job()
    world.script(reply(charge=None))
    world.run(job)
    assert (1, 1) == (world.stored(job)["charge"], world.stored(job)["attempts"][0]["charge"])


def test_clicking_again_gives_no_new_budget_to_a_job_that_waits(world: World) -> None:
    job = world.job()
    world.producer.enqueue(str(job.image))
    world.script(UnansweredError("no answer"), reply("1009"))
    world.run(job)
    world.run(job)
    world.producer.enqueue(str(job.image))
    assert "1" == world.fields(job)["possibly_charged"]


def test_of_two_calls_that_find_the_account_empty_one_is_dead_and_one_waits(world: World) -> None:
    first, second = world.job("one", key="1.jpg"), world.job("two", key="2.jpg")

    def meanwhile() -> Reply:
        world.services.hold.open("no money", by="another worker", code="9980", job_id=first.job_id)
        return reply("9980")

    world.script(meanwhile)
    assert "requeued" == world.run(second).end
    assert (State.HELD, 0) == (world.status(second).state, world.services.dead_letters.count())
    world.services.hold.release(by="a test")
    assert "done" == world.run(second).end


def test_a_dead_letter_that_outlived_its_job_goes_with_the_next_delivery(world: World) -> None:
    job = world.job()
    world.script(reply("1001"))
    world.run(job)
    world.producer.enqueue(str(job.image))
    with pytest.MonkeyPatch.context() as cut:
        cut.setattr("worker.settling.Settling.bury", lambda *_: None)  # killed before it
        world.run(job)
    assert 1 == world.services.dead_letters.count()
    world.run(job)
    assert (State.RECOGNIZED, 0) == (world.status(job).state, world.services.dead_letters.count())


def test_an_outage_of_s3_leaves_the_calls_their_budget(world: World) -> None:
    job = world.job()
    world.storage.get_error = StorageError("S3 is away")
    for _ in range(12):
        assert "delayed" == world.run(job).end
    world.storage.get_error = None
    world.script(reply("9999"))
    assert "delayed" == world.run(job).end


def test_time_on_hold_does_not_age_a_job(world: World) -> None:
    job = world.job()
    world.script(reply("9999"), reply("9999"))
    world.run(job)
    world.store.hset(keys.job(job.job_id), "first_failure_at", "2020-01-01T00:00:00.000+00:00")
    world.services.hold.open("no money", by="a test")
    world.services.hold.release(by="a test")
    assert "delayed" == world.run(job).end


def test_a_result_in_s3_is_not_bought_again_when_redis_has_lost_every_state(world: World) -> None:
    job = world.job()
    world.run(job)
    world.store.flushall()
    assert "done" == world.run(job).end
    assert (State.RECOGNIZED, 1) == (world.status(job).state, world.client.charges)


def test_a_result_in_s3_of_another_photo_under_the_same_key_is_not_taken(world: World) -> None:
    world.run(world.job("one"))
    world.store.flushall()
    job = world.job("two")
    world.run(job)
    assert (2, jpeg("two")) == (world.client.charges, world.client.calls[-1]["image"])


def test_a_late_workers_document_does_not_stay_in_s3(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job, put_json = world.job(), world.storage.put_json

    def slow_put(bucket: str, key: str, document: Mapping[str, Any]) -> str:
        monkeypatch.setattr(world.storage, "put_json", put_json)
        world.let_the_claim_expire(job)
        world.run(job)
        return put_json(bucket, key, {**document, "msg": "written late"})

    monkeypatch.setattr(world.storage, "put_json", slow_put)
    assert "delayed" == world.run(job).end
    assert world.result(job) != world.stored(job)

    assert "done" == world.run(job).end

    assert world.result(job) == world.stored(job)
    assert (1, State.RECOGNIZED) == (world.client.charges, world.status(job).state)


@pytest.mark.parametrize("escape", [ZeroDivisionError(), MemoryError(), SystemExit()])
def test_a_call_that_our_own_code_ends_is_possibly_charged(world: World, escape: BaseException) -> None:
    job = world.job()
    world.script(escape)
    assert "dead" == world.run(job).end
    [attempt] = world.services.claims.attempts(job.job_id)
    assert ("interrupted", True) == (attempt["error"], attempt["possibly_charged"])
    assert [] == world.store.zrange(keys.IN_FLIGHT, 0, -1)
