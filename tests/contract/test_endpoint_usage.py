"""Quotas and balances outlive the endpoint: real processes, killed, on a disk that fills up."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from endpoints import API_ID, API_SECRET, Endpoint, Engine, photo, running

from hmt_pass.endpoint.accounts import Accounts
from hmt_pass.endpoint.accounts.usage import Used, read
from hmt_pass.endpoint.faults import Faults

CALLS = """
import asyncio, resource, sys
from pathlib import Path
from hmt_pass.endpoint.accounts import Accounts, file
from hmt_pass.endpoint.answers import RefusedError

path = Path(sys.argv[1])
accounts, (account,) = Accounts.from_file(path), file.load(path)

async def call():
    try:
        async with accounts.booking(account) as booking:
            booking.charge()
    except RefusedError as refusal:
        return refusal.code.value
    return "0000"
"""

CALLS_WITHOUT_END = (
    CALLS
    + """
async def calls():
    while True:
        print(await call(), flush=True)

asyncio.run(calls())
"""
)

CALLS_ON_A_FULL_DISK = (
    CALLS
    + """
def limit(file_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))

async def calls():
    print(await call())
    limit(0)
    answers = [await call(), await call()]
    limit(resource.RLIM_INFINITY)
    print(*answers, await call(), sep="\\n")

asyncio.run(calls())
accounts.close()
"""
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.touch(0o600)
    return path


def grant(path: Path, limits: str = "") -> Path:
    """An accounts file; the path of its usage file."""
    path.write_text(f'[[account]]\nid = "{API_ID}"\nsecret = "{API_SECRET}"\n{limits}\n')
    return path.with_suffix(".usage")


@contextmanager
def process(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A Python process; killed at the end if it still runs."""
    command = [sys.executable, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def lines(started: "subprocess.Popen[str]", count: int) -> list[str]:
    assert started.stdout
    return [started.stdout.readline().strip() for _ in range(count)]


def test_what_was_answered_is_on_disk_when_the_process_is_killed(path: Path) -> None:
    usage = grant(path)
    before = 0
    for count in (1, 2, 30):
        with process("-c", CALLS_WITHOUT_END, path) as calls:
            answers = lines(calls, count)
            calls.send_signal(signal.SIGKILL)
            assert calls.stdout
            answers += calls.stdout.read().split()
        used = read(usage)[API_ID]
        assert {"0000"} == set(answers)
        assert used.charges - before - len(answers) in {0, 1}  # one may be on disk and not yet answered
        assert used.calls == used.charges
        before = used.charges


def test_a_full_disk_answers_9999_and_charges_nothing_until_there_is_room(path: Path) -> None:
    usage = grant(path, "balance = 2")
    with process("-c", CALLS_ON_A_FULL_DISK, path) as calls:
        out, errors = calls.communicate(timeout=60)
    assert ["0000", "9999", "9999", "0000"] == out.split()
    assert {API_ID: Used(2, 2)} == read(usage)
    assert 2 == errors.count("Make room on its disk")
    assert API_SECRET not in errors


def test_fifty_calls_at_once_over_http_on_a_balance_of_one_are_charged_once(path: Path) -> None:
    usage = grant(path, "balance = 1")
    with running(accounts=Accounts.from_file(path), faults=True) as endpoint, ThreadPoolExecutor(50) as callers:
        bodies = list(callers.map(lambda _: endpoint.send(), range(50)))
        charged = endpoint.faults.charged
    assert ["0000", *["9980"] * 49] == sorted(body["code"] for body in bodies)
    assert (1, {API_ID: Used(1, 1)}) == (charged, read(usage))


@contextmanager
def serving(path: Path) -> Iterator[Endpoint]:
    """The endpoint as it is started in earnest, killed at the end; a picture without a permit is 0000."""
    arguments = ["-m", "hmt_pass.endpoint", "--port", 0, "--accounts", path, "--no-permit", "empty"]
    with process(*arguments) as started:
        (ready,) = lines(started, 1)
        yield Endpoint(ready.removeprefix("endpoint ready "), Engine(), Faults())


def test_a_killed_endpoint_has_forgotten_nothing_when_it_is_back(path: Path) -> None:
    usage = grant(path, "quota = 5\nbalance = 2")
    codes = []
    for _ in range(2):
        with serving(path) as endpoint:
            codes += [endpoint.send(image)["code"] for image in (b"no picture", photo())]
    with serving(path) as endpoint:
        codes.append(endpoint.send()["code"])
    assert ["1015", "0000", "1015", "0000", "9980"] == codes
    assert {API_ID: Used(4, 2)} == read(usage)


def test_a_second_endpoint_on_the_same_usage_does_not_start(path: Path) -> None:
    grant(path)
    arguments = ["-m", "hmt_pass.endpoint", "--port", 0, "--accounts", path]
    with closing(Accounts.from_file(path)), process(*arguments) as second:
        _, errors = second.communicate(timeout=60)
    assert 2 == second.returncode
    assert "another endpoint counts in" in errors
    assert "Traceback" not in errors
