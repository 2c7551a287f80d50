"""What hmt_pass.store promises, and Producer.enqueue over a real broker."""

import json
from typing import Any

import pytest

from hmt_pass import keys
from hmt_pass.errors import NotEnqueuedError, StoreError
from hmt_pass.producer import Producer
from hmt_pass.status import State
from hmt_pass.store import Store, connect
from local.process import free_port
from local.redis import RedisServer
from worker.envelope import TaskMessage

IMAGE = "s3://photos/往来/a.jpg"


def test_text_comes_back_as_text(store: Store) -> None:
    store.hset("a", "name", "欧阳试样")
    assert {"name": "欧阳试样"} == store.hgetall("a")


def test_a_command_of_the_wrong_type_is_our_error(store: Store) -> None:
    store.set("a", "text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store.hgetall("a")
    with store.pipeline() as pipe:
        pipe.hgetall("a")
        with pytest.raises(StoreError, match="Redis: "):
            pipe.execute()


def test_a_broken_script_is_our_error(store: Store) -> None:
    with pytest.raises(StoreError, match="Redis: "):
        store.register_script("return redis.call('HGETALL', KEYS[1], 'too', 'many')")(keys=["a"])


def test_scripts_run_in_pipelines_and_survive_a_flush(store: Store) -> None:
    script = store.register_script("return {redis.call('INCR', KEYS[1]), ARGV[1]}")
    with store.pipeline(transaction=False) as pipe:
        for _ in range(3):
            script(keys=["a"], args=["x"], client=pipe)
        assert [[1, "x"], [2, "x"], [3, "x"]] == pipe.execute()
    store.script_flush()
    assert [4, "x"] == script(keys=["a"], args=["x"])


def test_a_script_runs_though_the_server_forgets_it_again_and_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = store.register_script("return redis.call('INCR', KEYS[1])")
    load = store.script_load

    def load_and_forget(text: str) -> str:
        sha: str = load(text)
        store.script_flush()
        return sha

    monkeypatch.setattr(store, "script_load", load_and_forget)
    assert [1, 2] == [script(keys=["a"]), script(keys=["a"])]
    with store.pipeline(transaction=False) as pipe:
        script(keys=["a"], client=pipe)
        monkeypatch.setattr(pipe, "load_scripts", store.script_flush)
        with pytest.raises(StoreError, match=r"No matching script|NOSCRIPT"):
            pipe.execute()


def test_a_server_that_is_not_there_is_our_error_without_the_password() -> None:
    with connect(f"redis://:hush@127.0.0.1:{free_port()}/0", timeout_s=1) as nobody:
        with pytest.raises(StoreError) as caught:
            nobody.get("a")
        assert "hush" not in str(caught.value)


def test_a_wrong_password_is_our_error(redis: RedisServer) -> None:
    with connect(f"redis://:hush@127.0.0.1:{redis.port}/0") as stranger, pytest.raises(StoreError):
        stranger.get("a")


@pytest.fixture
def producer(redis: RedisServer) -> Producer:
    return Producer(redis.url)


def waiting(redis: RedisServer, queue: str) -> list[dict[str, Any]]:
    with connect(redis.url) as store:
        return [json.loads(entry) for entry in store.lrange(queue, 0, -1)]


def test_an_enqueued_job_lies_on_its_queue_as_the_protocol_says(producer: Producer, redis: RedisServer) -> None:
    job_id = producer.enqueue(IMAGE, flag=3, etag="e", lane="bulk")
    [entry] = waiting(redis, "hmt_pass.bulk")
    message = TaskMessage.from_json(
        json.dumps(
            {
                "headers": entry["headers"],
                "body": entry["body"],
                "content_type": entry["content-type"],
                "content_encoding": entry["content-encoding"],
                "queue": entry["properties"]["delivery_info"]["routing_key"],
            }
        )
    )
    args, kwargs, _ = json.loads(message.body)
    assert ([], {"image": IMAGE, "hmt_flag": 3, "etag": "e"}) == (args, kwargs)
    assert (job_id, "hmt_pass.recognize", "hmt_pass.bulk") == (
        message.headers["id"],
        message.headers["task"],
        message.queue,
    )
    assert ("application/json", "utf-8") == (message.content_type, message.content_encoding)
    status = producer.status(job_id)
    assert (State.QUEUED, "bulk", 3) == (status.state, status.lane, status.hmt_flag)


def test_a_double_click_is_one_job(producer: Producer, redis: RedisServer) -> None:
    assert producer.enqueue(IMAGE) == producer.enqueue(IMAGE)
    assert 1 == len({entry["headers"]["id"] for entry in waiting(redis, "hmt_pass")})


def test_many_jobs_go_out_in_order_and_in_batches(producer: Producer, redis: RedisServer) -> None:
    progress: list[int] = []
    job_ids = list(producer.enqueue_many((f"s3://photos/{n}.jpg" for n in range(1201)), progress.append))
    assert [500, 1000, 1201] == progress
    assert job_ids == [entry["headers"]["id"] for entry in reversed(waiting(redis, "hmt_pass"))]


def test_a_hold_shows_on_every_waiting_job(producer: Producer, redis: RedisServer) -> None:
    job_id = producer.enqueue(IMAGE)
    with connect(redis.url) as store:
        store.set(keys.HOLD, "{}")
    assert State.HELD is producer.status(job_id).state


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_broker_that_is_not_there_is_said_so_before_an_upload_handler_gives_up(
    redis: RedisServer, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hmt_pass.producer.PUBLISH_RETRY", {"max_retries": 1, "interval_start": 0.01})
    producer = Producer(redis.url, f"redis://:hush@127.0.0.1:{free_port()}/0")
    with pytest.raises(NotEnqueuedError, match="the broker did not take the job") as caught:
        list(producer.enqueue_many(f"s3://photos/{n}.jpg" for n in range(jobs)))
    assert "hush" not in str(caught.value)
