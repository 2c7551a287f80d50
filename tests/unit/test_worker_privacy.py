"""Nobody's data where it does not belong: not in Redis beside receipt and result, not in logs, returns or errors."""

import json
from collections.abc import Callable

import pytest
from fakes import API_SECRET, BUCKET, PERMIT, Answer, World, reply
from traced import Recorder

from hmt_pass.errors import StorageError, UnansweredError
from hmt_pass.status import State
from worker import observe
from worker.settings import LogFormat, Send

pytestmark = pytest.mark.usefixtures("root_logger")

SIGNED = "https://photos.s3.example/a.jpg?X-Amz-Credential=AKIAEXAMPLE&X-Amz-Signature=0123456789abcdef"
MISTAKE = ZeroDivisionError(json.dumps(PERMIT, ensure_ascii=False))
SCRIPTS: dict[str, list[Answer]] = {
    "recognized": [reply()],
    "recognized, nested": [reply(data={"words_result_num": 1, "words_result": PERMIT})],
    "rejected": [reply("1004", data=PERMIT)],
    "retried": [reply("1005"), reply()],
    "snoozed": [reply("1009")],
    "dead": [reply("1002", reason="hmt_flag is missing")],
    "held": [reply("9980")],
    "unanswered": [UnansweredError("endpoint.example got the request")],
    "a bug that quotes a permit": [MISTAKE],
}
FIELDS = [value for name, value in PERMIT.items() if name != "sex"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World.create(monkeypatch)


def in_redis(world: World) -> str:
    """Everything that Redis holds, but for receipts and results."""
    read: dict[str, Callable[[str], object]] = {
        "hash": world.store.hgetall,
        "string": world.store.get,
        "zset": lambda key: world.store.zrange(key, 0, -1),
        "stream": world.store.xrange,
        "list": lambda key: world.store.lrange(key, 0, -1),
        "set": world.store.smembers,
    }
    looked_at = [key for key in map(str, world.store.scan_iter()) if not key.endswith((":receipt", ":result"))]
    return "\n".join(f"{key} {read[str(world.store.type(key))](key)}" for key in looked_at)


def leaked(text: str) -> list[str]:
    return [value for value in FIELDS if value in text]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_no_field_is_anywhere_but_in_receipt_and_result(
    world: World, script: list[Answer], capfd: pytest.CaptureFixture[str]
) -> None:
    observe.configure(LogFormat.JSON)
    job = world.job()
    world.script(*script)
    runs = [world.run(job) for _ in script]
    ends = " ".join(f"{run.returned} {run.raised} {run.raised!r}" for run in runs)
    assert [] == leaked(in_redis(world))
    assert [] == leaked(ends)
    assert [] == leaked(capfd.readouterr().err)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_no_field_is_in_a_trace(world: World, monkeypatch: pytest.MonkeyPatch, script: list[Answer]) -> None:
    recorder = Recorder()
    monkeypatch.setattr("worker.spans._tracer", recorder.provider.get_tracer("worker"))
    job = world.job()
    world.script(*script)
    for _ in script:
        world.run(job)
    assert len(script) == len(recorder.runs)
    assert [] == leaked(recorder.text)


def test_the_check_above_would_find_a_field(world: World) -> None:
    job = world.job()
    world.run(job)
    world.store.hset("hmt_pass:job:other", "name", PERMIT["nameChn"])
    assert [PERMIT["nameChn"]] == leaked(in_redis(world))


def test_a_receipt_is_gone_once_the_result_is_stored(world: World) -> None:
    job = world.job()
    world.storage.put_error = StorageError("down")
    world.run(job)
    assert 1 == len(world.store.keys("*:receipt"))
    world.storage.put_error = None
    world.run(job)
    assert [] == world.store.keys("*:receipt")


def test_a_job_that_was_given_a_url_leaves_no_signature_anywhere(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    observe.configure(LogFormat.JSON)
    world = World.create(monkeypatch, send=Send.URL)
    world.storage.versioned.add(BUCKET)
    job = world.job()
    world.run(job)
    assert "X-Amz-Signature" in world.client.calls[0]["url"]
    assert "X-Amz-Signature" not in in_redis(world) + json.dumps(world.stored(job)) + capfd.readouterr().err


@pytest.mark.parametrize("code", ["1002", "1004", "1006", "1008"])
def test_an_endpoint_that_quotes_a_url_or_a_card_number_is_not_quoted(world: World, code: str) -> None:
    job = world.job()
    said = f"cannot fetch {SIGNED} of {PERMIT['cardNum']}"
    world.script(reply(code, reason=said, msg=said))
    run = world.run(job)
    text = f"{in_redis(world)} {run.raised} {world.result(job)}"
    assert ("0123456789abcdef" in text, PERMIT["cardNum"] in text) == (False, False)


def test_a_failed_task_names_its_reason_and_no_data(world: World) -> None:
    world.script(MISTAKE)
    run = world.run(world.job())
    assert str(run.raised).startswith("bug: ZeroDivisionError in recognize")
    assert run.raised is not None
    assert run.raised.__suppress_context__


def test_the_secret_of_the_account_is_in_no_repr(world: World) -> None:
    assert API_SECRET not in f"{world.services.settings!r} {world.services!r}"


def test_a_photo_and_a_claim_do_not_show_their_content(world: World) -> None:
    job = world.job()
    world.storage.put_error = StorageError("down")
    world.run(job)
    claim = world.services.claims.claim(job)
    photo = world.storage.get(job.image, 1 << 20)
    assert "nameChn" not in repr(claim)
    assert "JFIF" not in repr(photo)
    assert claim.receipt is not None


def test_the_log_tells_a_jobs_story_by_id_and_code(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure(LogFormat.JSON)
    job = world.job()
    world.script(reply("9999"), reply())
    world.run(job)
    world.run(job)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    story = [(line["event"], line["job_id"], line["code"]) for line in lines]
    assert [("job.retrying", job.job_id, "9999"), ("job.finished", job.job_id, "0000")] == story
    assert State.RECOGNIZED == lines[-1]["state"]
    assert f"s3://{BUCKET}" not in str(lines[-1])
