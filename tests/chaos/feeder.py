"""A web app that goes on enqueuing while things break, and remembers what it was told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from chaos.world import World

from hmt_pass.errors import NotEnqueuedError


@dataclass
class Feeder:
    """What an uploader saw: `errors`, and the longest that one enqueue took."""

    errors: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


@contextmanager
def feeding(world: World, jobs: int, per_s: float, uploaders: int = 1) -> Iterator[Feeder]:
    """Enqueue jobs while the block runs, so many `uploaders` at a time; it ends when all jobs were tried."""
    feeder, start = Feeder(), len(world.accepted)
    images = world.photos.references(start + jobs)

    def feed(first: int) -> None:
        for number in range(first, start + jobs, uploaders):
            begun_s = time.monotonic()
            try:
                world.accepted.append(world.producer.enqueue(images[number], job_id=world.job_id(number)))
            except NotEnqueuedError as error:
                feeder.errors.append(str(error))
            took_s = time.monotonic() - begun_s
            feeder.slowest_s = max(feeder.slowest_s, took_s)
            time.sleep(max(0.0, uploaders / per_s - took_s))

    threads = [threading.Thread(target=feed, args=(start + number,)) for number in range(uploaders)]
    for thread in threads:
        thread.start()
    try:
        yield feeder
    finally:
        for thread in threads:
            thread.join()
