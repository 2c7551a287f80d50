"""The web app has a Celery app and an environment of its own, and neither may change the other."""

import subprocess
import sys

import celery
import kombu.pools
import pytest

from hmt_pass.producer import Producer
from hmt_pass.status import State
from hmt_pass.store import connect
from local.process import clean_environment, free_port
from local.redis import RedisServer
from local.services import CHECKOUT

IMAGE = "s3://photos/a.jpg"
BROKERS = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")


@pytest.mark.parametrize("name", BROKERS)
def test_a_job_goes_to_our_broker_not_to_the_web_apps(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"redis://127.0.0.1:{free_port()}/0")
    job_id = Producer(redis.url).enqueue(IMAGE)
    with connect(redis.url) as store:
        assert 1 == store.llen("hmt_pass")
        assert State.QUEUED is Producer(redis.url).status(job_id).state


@pytest.mark.parametrize("backend", ["django-db", "db+postgresql://nobody@127.0.0.1/none", "redis://127.0.0.1:1/0"])
def test_the_web_apps_result_backend_is_not_ours(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("CELERY_RESULT_BACKEND", backend)
    Producer(redis.url).enqueue(IMAGE)
    with connect(redis.url) as store:
        assert 1 == store.llen("hmt_pass")


def test_the_web_apps_own_celery_keeps_its_pool(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kombu.pools, "_limit", [10])
    other = celery.Celery("a web app's", broker=redis.url, set_as_current=False, broker_pool_limit=30)
    before = other.pool.limit

    Producer(redis.url).enqueue(IMAGE)
    assert (30, 30) == (before, other.pool.limit)


def celery_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `celery -A worker ...` says, in an environment of its own."""
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", *arguments],
        cwd=CHECKOUT,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("program", ["worker", "flower", "inspect"])
def test_a_program_that_would_listen_to_another_broker_says_so_and_does_not_start(program: str) -> None:
    arguments = [program, "ping"] if program == "inspect" else [program]
    done = celery_command(*arguments, REDIS_URL="redis://ours/0", CELERY_BROKER_READ_URL="redis://:hush@theirs/0")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "worker: CELERY_BROKER_READ_URL names another broker than BROKER_URL" in said
    assert "hush" not in said


def test_the_option_b_is_refused_when_it_disagrees() -> None:
    done = celery_command("-b", "redis://theirs/0", "worker", REDIS_URL="redis://ours/0")
    assert done.returncode == 1
    assert "worker: CELERY_BROKER_URL names another broker than BROKER_URL" in done.stderr


def test_flower_with_a_wrong_address_says_so_and_does_not_start() -> None:
    done = celery_command("flower", REDIS_URL="ours")
    assert (1, True) == (done.returncode, "REDIS_URL: must be redis://" in done.stderr)
