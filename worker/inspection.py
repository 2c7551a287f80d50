"""What a worker answers when it is asked for its queues: the dead-letter queue too, which nobody consumes.

Flower's broker page shows the depth of the queues that the workers name, and of no others.
"""

from typing import Any

from celery.worker import control

from hmt_pass.queues import dead_letter_queue

_control: Any = control  # the stubs leave out the commands
_consumed = _control.active_queues


@_control.inspect_command()  # type: ignore[untyped-decorator]  # see above
def active_queues(state: Any) -> list[dict[str, Any]]:  # noqa: ANN401  celery's
    """List the queues that a worker consumes from, and the dead-letter queue."""
    consumed = _consumed(state)
    return [*consumed, dead_letter_queue().as_dict(recurse=True)] if consumed else []
