"""`python -m worker`: look at a running system and steer it. Every command takes --json."""

import click

from worker.commands.dead_letters import dead_letters
from worker.commands.doctor import doctor
from worker.commands.hold import hold
from worker.commands.jobs import result, status
from worker.commands.ledger import ledger
from worker.commands.metrics import metrics


@click.group(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Hold the commands together."""


for command in (doctor, dead_letters, hold, ledger, metrics, status, result):
    main.add_command(command)

if __name__ == "__main__":
    main(prog_name="python -m worker")
