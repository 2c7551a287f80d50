"""The dead-letter queue, which nobody consumes, for whoever asks about queues.

Flower's broker page shows the depth of the queues that workers named when it started. When none answered in time, it
shows those of its own configuration.
"""

from typing import Any

import click
from celery.worker import control
from kombu import Queue

from hmt_pass.queues import dead_letter_queue

_control: Any = control  # the stubs leave out the commands
_consumed = _control.active_queues


@_control.inspect_command()  # type: ignore[untyped-decorator]  # see above
def active_queues(state: Any) -> list[dict[str, Any]]:  # noqa: ANN401  celery's
    """List the queues that a worker consumes from, and the dead-letter queue."""
    consumed = _consumed(state)
    return [*consumed, dead_letter_queue().as_dict(recurse=True)] if consumed else []


def queues_of_flower() -> list[Queue]:
    """What Flower's configuration has beside the queues that are consumed; nothing in any other process.

    `celery purge` empties what is configured, so no other process may have it there.
    """
    context = click.get_current_context(silent=True)
    is_flower = context is not None and context.find_root().invoked_subcommand == "flower"
    return [dead_letter_queue()] if is_flower else []
