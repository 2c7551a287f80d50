"""An embedded RabbitMQ: the server that Debian's package brings, on loopback, with a state folder of its own.

Nothing of an installed service is read or touched: configuration, cookie, node name and the Erlang port mapper (epmd)
are ours. The mapper would daemonise itself and stay behind; here it is one more tethered process.
"""

import os
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from hmt_pass.errors import SettingsError, StoreError
from hmt_pass.rabbit import Rabbit
from local.process import Process, clean_environment, free_port

SCRIPTS = Path("/usr/lib/rabbitmq/bin")  # what is on PATH is a wrapper that insists on root or the user rabbitmq
CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{port}
default_user = hmt_pass
default_pass = {password}
loopback_users = none
disk_free_limit.absolute = 50MB
log.file = false
log.console = true
log.console.level = info
"""


class _PortMapper(Process):
    """Erlang's epmd in the foreground; a node asks it for a name before it starts."""

    def __init__(self, port: int, log: Path) -> None:
        super().__init__("epmd", ["epmd", "-address", "127.0.0.1", "-port", str(port)], log)
        self._port = port

    def ready(self) -> bool:
        """Whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


class RabbitServer(Process):
    """One server on one folder and port: `with RabbitServer(folder) as server`.

    `url` stays the same over kill() and start(), and so does what was confirmed.
    """

    grace_s = 30.0

    def __init__(self, folder: Path, log: Path | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.password = secrets.token_urlsafe(24)
        mapper_port = free_port()
        log = log or folder / "rabbitmq.log"
        self._mapper = _PortMapper(mapper_port, log.with_name("epmd.log"))
        super().__init__("rabbitmq", [find_server()], log, self._variables(mapper_port), cwd=folder)

    @property
    def url(self) -> str:
        """Where clients connect, password included."""
        return f"amqp://hmt_pass:{self.password}@127.0.0.1:{self.port}//"

    def launch(self) -> None:
        """Write the configuration into the folder (mode 0700) and start on it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        configuration = CONFIGURATION.format(port=self.port, password=self.password)
        (self.folder / "rabbitmq.conf").write_text(configuration)
        (self.folder / "plugins").write_text("[].\n")
        if not self._mapper.running:
            self._mapper.start()
        super().launch()

    def ready(self) -> bool:
        """Whether it lets us in."""
        try:
            return bool(Rabbit(self.url, connect_timeout_s=2).version())
        except StoreError:
            return False

    def control(self, *arguments: str) -> None:
        """Do what `rabbitmqctl` does; takes it two seconds to start. Raises CalledProcessError."""
        environment = {**clean_environment(), **self.environment}
        command = [str(SCRIPTS / "rabbitmqctl"), "--quiet", *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)

    def stop(self) -> bool:
        """As every process, and end the port mapper with it."""
        try:
            return super().stop()
        finally:
            self._mapper.kill()

    def _variables(self, mapper_port: int) -> dict[str, str]:
        nowhere = str(self.folder / "none")
        return {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper_port),
            "HOME": str(self.folder),  # of the cookie
            "RABBITMQ_ADVANCED_CONFIG_FILE": nowhere,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": nowhere,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": f"hmt_pass_{self.port}@localhost",
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server instead of starting it as a child
        }


def find_server() -> str:
    """Path of the server's start script. Raises SettingsError when it is not installed."""
    program = SCRIPTS / "rabbitmq-server"
    if os.access(program, os.X_OK) and shutil.which("epmd"):
        return str(program)
    raise SettingsError("no RabbitMQ on this machine: apt install rabbitmq-server")
