"""Which dead letters are meant: one filter for every command."""

from dataclasses import dataclass, fields
from typing import Any

from worker.letters import DeadLetter


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter; what is None or empty does not matter. `since` and `until` are Unix times of the death.

    `reason` is a part of the reason, `image` the beginning of the image's reference. `limit` takes the oldest of all
    that are left.
    """

    job_ids: tuple[str, ...] = ()
    code: str | None = None
    reason: str | None = None
    image: str | None = None
    since: float | None = None
    until: float | None = None
    redriven: bool | None = None
    limit: int | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether the letter is meant, as far as it says so itself: jobs, times and limit are the index's part."""
        return (
            self.code in {None, letter.code}
            and (self.reason is None or self.reason in letter.reason)
            and (self.image is None or (letter.image or "").startswith(self.image))
            and self.redriven in {None, letter.redriven > 0}
        )

    def as_dict(self) -> dict[str, Any]:
        """What was asked for, as JSON."""
        asked = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in asked.items() if value not in (None, ())}


ALL = Wanted()
