import signal
import sys
import time
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.process import Process, ProcessError
from local.redis import RedisServer
from local.s3 import BUCKET, S3Server

NO_RETRY = Retry(NoBackoff(), 0)


class Child(Process):
    """Runs Python code; ready when the log has a whole line."""

    ready_timeout_s = 10.0

    def __init__(self, log: Path, code: str) -> None:
        super().__init__("child", [sys.executable, "-u", "-c", code], log)

    def ready(self) -> bool:
        return self.log.read_text().endswith("\n")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


def test_redis_keeps_its_data_over_kill_9_and_a_restart(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis.from_url(server.url) as client:
        url = server.url
        for number in range(100):
            client.rpush("jobs", number)

        server.kill()
        assert not server.ready()
        server.start()

        assert url == server.url
        assert 100 == client.llen("jobs")


def test_redis_refuses_a_client_without_the_password(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, redis.Redis(port=server.port, retry=NO_RETRY) as stranger:
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()

        assert 0o700 == server.folder.stat().st_mode & 0o777


def test_redis_says_why_it_did_not_start_when_the_port_is_taken(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "one") as server:
        second = RedisServer(tmp_path / "two", server.port)

        with pytest.raises(ProcessError, match=r"(?s)ended with code 1.*already in use"):
            second.start()


def test_s3_starts_with_an_empty_bucket_and_forgets_at_restart(tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3.log") as server:
        server.client.put_object(Bucket=BUCKET, Key="photo.jpg", Body=b"photo")
        assert b"photo" == server.client.get_object(Bucket=BUCKET, Key="photo.jpg")["Body"].read()

        server.kill()
        server.start()

        assert 0 == server.client.list_objects_v2(Bucket=BUCKET)["KeyCount"]
        server.client.close()


def test_a_process_that_is_never_ready_is_reported_with_its_log_and_ended(log: Path) -> None:
    child = Child(log, "import time; print('still thinking', end='', flush=True); time.sleep(60)")
    child.ready_timeout_s = 3.0

    with pytest.raises(ProcessError, match=r"(?s)not ready within 3 s.*still thinking"), child:
        pytest.fail("it was taken for ready")

    assert not child.running


def test_a_process_that_ends_early_is_reported_at_once(log: Path) -> None:
    began = time.monotonic()

    with pytest.raises(ProcessError, match=r"(?s)ended with code 1.*no such broker"):
        Child(log, "import sys; sys.stderr.write('no such broker'); sys.exit(1)").start()

    assert time.monotonic() - began < Child.ready_timeout_s


def test_a_process_may_finish_its_work_before_it_ends(log: Path) -> None:
    drain = "import signal, time\nsignal.signal(15, lambda *_: (time.sleep(0.3), print('drained'), exit()))\n"
    child = Child(log, f"{drain}print('ready')\ntime.sleep(60)")
    child.start()

    assert child.stop()

    assert not child.running
    assert log.read_text() == "ready\ndrained\n"


def test_a_process_that_ignores_the_request_is_killed_with_its_children(log: Path) -> None:
    deaf = "import subprocess, sys, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
    parent = "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\ntime.sleep(60)"
    child = Child(log, deaf + parent)
    child.grace_s = 0.2
    child.start()
    grandchild_pid = int(log.read_text())

    assert not child.stop()

    assert not child.running
    assert _gone(grandchild_pid, within_s=5)


def _gone(pid: int, within_s: float) -> bool:
    """Whether the process ended; a zombie that nobody has collected yet counts as ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_second_interrupt_does_not_wait_for_a_process_that_takes_its_time(log: Path) -> None:
    child = Child(log, "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('deaf')\ntime.sleep(60)")
    child.start()
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            child.stop()
    finally:
        signal.signal(signal.SIGALRM, before)

    assert not child.running
