"""The jobs that died of what opened a hold, and their way back: a named redrive of exactly those."""

from contextlib import suppress

from worker.hold import HoldInfo
from worker.letters import LetterId
from worker.redrives import RedriveError, Redrives
from worker.redriving import Redriving
from worker.services import Services
from worker.wanted import Wanted


def dead_of(services: Services, hold: HoldInfo | None) -> list[LetterId]:
    """The dead letters that are left of a hold's incident, oldest first. Raises StoreError."""
    died = services.hold.died_of(hold.incident) if hold else set()
    wanted = Wanted(job_ids=tuple(died))
    return [letter_id for letter_id, _ in services.dead_letters.select(wanted)] if died else []


def redrive(services: Services, hold: HoldInfo | None, by: str) -> int:
    """Move them back, each once, whoever else does; returns how many were. Raises StoreError."""
    letters = dead_of(services, hold)
    if not hold or not letters:
        return 0
    with suppress(RedriveError):  # kept already: what is left of it is moved
        Redrives(services.dead_letters.store).keep(hold.incident, letters, by, {"incident": hold.incident})
    return Redriving(services, by).run(hold.incident)
