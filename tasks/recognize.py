"""The main job."""

from typing import Any

from hmt_pass.image import MAX_INPUT_BYTES
from hmt_pass.job import RECOGNIZE
from worker.celery import app
from worker.task import JobTask


@app.task(bind=True, base=JobTask, name=RECOGNIZE)
def recognize(self: JobTask, /, *args: object, **kwargs: object) -> dict[str, Any]:
    """Read the permit in one S3 photo and store its fields. May run twice: a stored reply is never bought again.

    Takes `image`, `hmt_flag` and `etag` (docs/protocol.md); anything else is dead-lettered, not refused by Python.
    """
    services = self.services
    with self.job(args, kwargs) as ours:
        if ours.finished():
            return ours.outcome
        image, etag = ours.job.image, ours.job.etag
        with services.storage.get(image, MAX_INPUT_BYTES, etag) as photo, ours.reading(photo) as known:
            if not known:
                source = services.sender.source(photo)
                with ours.attempt() as attempt:
                    attempt.reply = services.client.recognize(
                        **source,
                        flag=ours.job.flag,
                        sequence_id=attempt.sequence_id,
                        send_until_s=attempt.send_until_s,
                    )
                ours.store(attempt.reply)
    return ours.outcome
