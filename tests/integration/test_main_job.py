import json
import secrets
from pathlib import Path

import jsonschema
from books import CARD
from system import System

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.status import State
from local.s3 import BUCKET

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "result.schema.json").read_text())


def test_a_photo_ends_as_a_result_in_s3_and_in_redis(system: System) -> None:
    system.worker()
    job_id = system.producer.enqueue(system.upload("one.png"), flag=3)

    assert [State.RECOGNIZED] == system.wait(job_id)

    document = system.stored(job_id)
    jsonschema.validate(document, SCHEMA)
    assert system.producer.result(job_id) == document
    assert {name: CARD[name] for name in document["permit"]} == document["permit"]
    assert f"s3://{BUCKET}/hmt-pass/{job_id}.json" == system.producer.status(job_id).result
    assert 1 == system.books.charges


def test_a_transient_code_is_retried_and_the_history_kept(system: System) -> None:
    system.books.script.extend(["1005", "9999"])
    system.worker()
    job_id = system.producer.enqueue(system.upload("one.png"))

    assert [State.RECOGNIZED] == system.wait(job_id)

    assert ["1005", "9999", "0000"] == [attempt["code"] for attempt in system.stored(job_id)["attempts"]]
    assert [f"{job_id}-{number}" for number in (1, 2, 3)] == [line.sequence_id for line in system.books.lines]


def test_a_job_enqueued_many_times_and_an_image_under_many_keys_cost_one_charge(system: System) -> None:
    system.books.latency_s = 0.3
    system.worker()
    same_job = [system.producer.enqueue(system.upload("one.png", 1)) for _ in range(20)]
    same_image = [system.producer.enqueue(system.upload(f"copy-{number}.png", 2)) for number in range(8)]

    assert {State.RECOGNIZED} == set(system.wait(*same_job, *same_image))

    assert 1 == len(set(same_job))
    assert 8 == len(set(same_image))
    assert 2 == system.books.charges
    assert [CARD["cardNum"]] * 8 == [system.stored(job_id)["permit"]["cardNum"] for job_id in same_image]


def test_interactive_jobs_go_first_and_bulk_does_not_starve(system: System) -> None:
    system.books.latency_s = 0.1  # as ever, a call takes longer than the next message is on its way
    bulk = [system.producer.enqueue(system.upload(f"b{n}.png", n), lane="bulk") for n in range(6)]
    interactive = [system.producer.enqueue(system.upload(f"i{n}.png", 100 + n)) for n in range(20)]
    system.worker(concurrency=1)

    system.wait(*bulk, *interactive)

    order = ["bulk" if job_id in bulk else "interactive" for job_id in system.books.job_ids]
    assert ["interactive"] * 7 == order[:7]
    assert 2 <= order[:20].count("bulk") <= 3


def test_a_paid_reply_is_kept_when_the_result_cannot_be_stored(system: System) -> None:
    bucket = f"made-later-{secrets.token_hex(4)}"  # the server outlives the test
    system.worker(results_bucket=bucket, retry_cap_s=1)
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.producer.status(job_id).state is State.RETRYING)

    system.s3.client.create_bucket(Bucket=bucket)

    assert [State.RECOGNIZED] == system.wait(job_id)
    assert 1 == len(system.books.lines)
    assert 0 == system.store.exists(keys.receipt(job_id))


def test_a_worker_that_is_told_to_stop_finishes_its_job(system: System) -> None:
    system.books.latency_s = 1.5
    worker = system.worker()
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: system.books.lines)

    assert worker.stop()

    assert State.RECOGNIZED is system.producer.status(job_id).state
    assert 1 == system.books.charges


def test_a_dead_letter_is_the_original_message_with_its_reasons(system: System) -> None:
    system.worker()
    job_id = system.producer.enqueue(f"s3://{BUCKET}/nobody-put-this.png", flag=2)

    assert [State.DEAD] == system.wait(job_id)

    [message] = system.broker.look(DEAD_LETTER_QUEUE)
    assert job_id == message.headers["id"]
    assert "object missing" == message.headers["hmt_pass_dead_letter"]["reason"]
    letter = system.command("dead-letters", "show", job_id)
    assert (job_id, 2, "object missing", 0) == (
        letter["job_id"],
        letter["hmt_flag"],
        letter["reason"],
        letter["redriven"],
    )


def test_no_log_and_no_broker_entry_holds_a_field(system: System) -> None:
    system.books.script.extend(["9999", "1002"])
    system.worker()
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(5)]
    system.wait(*job_ids)

    kept = [str(system.store.dump(key)) if "queue" in key else key for key in system.store.keys("*")]
    text = system.logs() + "".join(kept) + str(system.broker.look(DEAD_LETTER_QUEUE))
    assert 5 == sum("job.finished" in line or "job.dead_lettered" in line for line in system.logs().splitlines())
    for value in (CARD["cardNum"], CARD["nameChn"], CARD["nameEng"], CARD["birthday"], "a-secret-of-nobody"):
        assert value not in text


def test_a_worker_runs_in_an_environment_with_another_apps_result_backend(system: System) -> None:
    system.environment |= {"CELERY_RESULT_BACKEND": "django-db", "CELERY_BROKER_URL": system.broker.url}
    job_id = system.producer.enqueue(system.upload("photo.png"))
    system.worker()
    assert [State.RECOGNIZED] == system.wait(job_id)
