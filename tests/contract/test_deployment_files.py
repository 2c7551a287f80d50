"""The deployment files, held to the tools that will read them: Compose itself, hadolint, sh, a Redis server."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.retry import Retry

from local.process import free_port
from local.redis import find_server
from worker.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
SECRETS = {
    "REDIS_PASSWORD": "made0for0this0test",
    "HMT_PASS_API_ID": "an-id",
    "HMT_PASS_API_SECRET": "a-secret",
    "FLOWER_BASIC_AUTH": "user:password",
}


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60)


def compose(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(BIN / "docker-compose", "--env-file", os.devnull, "config", *options, **environment)


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """The file as Compose understands it, every variable filled in."""
    answer = compose("--format", "json", **SECRETS)
    assert "" == answer.stderr
    return json.loads(answer.stdout)


def test_compose_accepts_its_file_when_the_secrets_are_set() -> None:
    answer = compose("--quiet", **SECRETS)
    assert (0, "", "") == (answer.returncode, answer.stdout, answer.stderr)


def test_the_compose_file_keeps_to_the_published_specification() -> None:
    answer = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml")
    assert 0 == answer.returncode, answer.stdout


@pytest.mark.parametrize("name", SECRETS)
def test_compose_refuses_to_start_without(name: str) -> None:
    answer = compose("--quiet", **{other: value for other, value in SECRETS.items() if other != name})
    assert 0 != answer.returncode
    assert f"required variable {name} is missing" in answer.stderr


def test_every_port_is_published_on_loopback_only(stack: dict[str, Any]) -> None:
    ports = [port for service in stack["services"].values() for port in service.get("ports", [])]
    assert {"127.0.0.1"} == {port["host_ip"] for port in ports}


def test_every_service_that_stays_has_a_health_check(stack: dict[str, Any]) -> None:
    checked_by_image = set(re.findall(r"^FROM \S+ AS (\S+)\n(?:(?!FROM ).*\n)*HEALTHCHECK ", DOCKERFILE, re.MULTILINE))
    unchecked = {
        name
        for name, service in stack["services"].items()
        if "test" not in service.get("healthcheck", {})
        and service.get("build", {}).get("target") not in checked_by_image
    }
    assert {"bucket"} == unchecked


def test_flower_is_not_checked_as_a_worker_would_be(stack: dict[str, Any]) -> None:
    assert "/healthcheck" in str(stack["services"]["flower"]["healthcheck"]["test"])


def test_our_own_containers_have_no_privileges(stack: dict[str, Any]) -> None:
    own = [service for service in stack["services"].values() if "build" in service]
    assert [(["ALL"], True)] * 4 == [(service["cap_drop"], service["read_only"]) for service in own]


def test_a_worker_may_finish_its_longest_job_before_it_is_killed(stack: dict[str, Any]) -> None:
    minutes, seconds = re.fullmatch(r"(?:(\d+)m)?(\d+)s", stack["services"]["worker"]["stop_grace_period"]).groups("0")
    longest_s = Settings(api_id="an-id", api_secret="a-secret").deadline_s
    assert int(minutes) * 60 + int(seconds) >= longest_s + 5


def test_a_worker_drains_before_what_it_needs_goes_away(stack: dict[str, Any]) -> None:
    assert {"redis", "bucket", "endpoint"} == set(stack["services"]["worker"]["depends_on"])
    assert {"s3"} == set(stack["services"]["bucket"]["depends_on"])


def test_the_s3_stand_in_is_the_one_the_tests_use(stack: dict[str, Any]) -> None:
    assert f"motoserver/moto:{version('moto')}" == stack["services"]["s3"]["image"]


def test_redis_starts_with_the_configuration_and_lets_no_stranger_in(stack: dict[str, Any], tmp_path: Path) -> None:
    port = free_port()
    configuration = stack["configs"]["redis"]["content"].replace("dir /data", f"dir {tmp_path}")
    (tmp_path / "redis.conf").write_text(f"{configuration}\nbind 127.0.0.1\nport {port}\n")
    patience = Retry(ConstantBackoff(0.05), 200)
    with (
        started(find_server(), str(tmp_path / "redis.conf")),
        redis.Redis(port=port, password=SECRETS["REDIS_PASSWORD"], decode_responses=True, retry=patience) as client,
        redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger,
    ):
        settings = client.config_get("append*", "maxmemory-policy")
        durable = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        assert durable == {name: settings[name] for name in durable}
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()


@contextmanager
def started(*command: str) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def test_hadolint_has_nothing_to_say_about_the_dockerfile() -> None:
    answer = run(BIN / "hadolint", "--no-color", "Dockerfile")
    assert (0, "") == (answer.returncode, answer.stdout)


def test_every_image_runs_without_root_from_an_argument_list() -> None:
    finals = [stage for stage in DOCKERFILE.split("\nFROM ") if "\nCMD " in stage]
    assert 2 == len(finals)
    for stage in finals:
        assert re.search(r"^USER 10001$", stage, re.MULTILINE)
        assert json.loads(stage.rpartition("\nCMD ")[2])


def test_the_builder_may_read_what_the_dockerfile_copies_and_nothing_else() -> None:
    copied = {
        name for names in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()
    }
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == allowed


def test_image_and_laptop_use_the_same_uv() -> None:
    pinned = re.search(r"UV_VERSION := (\S+)", (ROOT / "Makefile").read_text())[1]
    assert [pinned] == re.findall(r"uv==(\S+)", DOCKERFILE)


def test_a_platform_runs_the_worker_as_the_image_does() -> None:
    commands = [json.loads(line) for line in re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)]
    assert shlex.split(PROCFILE["worker"]) in commands


@pytest.mark.parametrize("process", PROCFILE)
def test_a_shell_can_read_the_procfile(process: str) -> None:
    answer = run("sh", "-n", "-c", PROCFILE[process])
    assert (0, "") == (answer.returncode, answer.stderr)


def test_flower_does_not_start_on_a_platform_without_a_password() -> None:
    answer = run("sh", "-c", PROCFILE["flower"])
    assert 0 != answer.returncode
    assert "FLOWER_BASIC_AUTH: set it to user:password" in answer.stderr
