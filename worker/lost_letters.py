"""Dead letters that went with their broker: written anew from the states of their jobs, which live elsewhere."""

from dataclasses import dataclass
from itertools import islice

from hmt_pass import __version__, keys
from hmt_pass.errors import InvalidJobError
from hmt_pass.job import Job
from hmt_pass.status import State
from worker.claims import now
from worker.dead_letter_index import chunks
from worker.envelope import TaskMessage
from worker.letters import DeadLetter, redrives
from worker.observe import log
from worker.services import Services

BATCH = 500  # letters written in one round


@dataclass(frozen=True, slots=True)
class LostLetters:
    """The search for them. Methods raise StoreError."""

    services: Services

    def write_anew(self) -> list[str]:
        """Put a letter for each dead job that has none; returns their ids. Looks no further when the numbers agree."""
        store, letters = self.services.store, self.services.dead_letters
        if store.scard(keys.DEAD_JOBS) == letters.count():
            return []
        dead = map(str, store.sscan_iter(keys.DEAD_JOBS, count=BATCH))
        missing = (job_id for chunk in chunks(dead, BATCH) for job_id in letters.missing(chunk))
        return [job_id for job_id in islice(missing, BATCH) if self._is_written_anew(job_id)]

    def _is_written_anew(self, job_id: str) -> bool:
        fields = self.services.claims.fields(job_id)
        try:
            job = Job.from_state(job_id, fields) if fields.get("state") == State.DEAD else None
        except InvalidJobError:  # a message that was no job: its bytes are gone
            job = None
        if job is None:
            self.services.store.srem(keys.DEAD_JOBS, job_id)
            return False
        self.services.dead_letters.put(self._letter(job, fields), TaskMessage.for_job(job), _unix_time(self.services))
        log.error("dead_letter.was_lost", job_id=job_id, reason=fields.get("reason"))
        return True

    def _letter(self, job: Job, fields: dict[str, str]) -> DeadLetter:
        return DeadLetter(
            job.job_id,
            fields.get("reason", "unknown"),
            fields.get("finished_at") or now(),
            detail="the broker has lost the first record of it; this one is from the job's state",
            image=str(job.image),
            hmt_flag=int(job.flag),
            code=fields.get("code"),
            request_id=fields.get("request_id"),
            attempts=self.services.claims.attempts(job.job_id),
            first_failure_at=fields.get("first_failure_at"),
            last_failure_at=fields.get("finished_at"),
            redriven=int(fields.get("redriven", 0)),
            redrives=redrives(fields),
            worker=self.services.worker,
            worker_version=__version__,
        )


def _unix_time(services: Services) -> float:
    seconds, microseconds = services.store.time()
    return seconds + microseconds / 1e6
