"""What a child of the nursery does once it is a process of its own. Nothing here is known to the product's code."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from celery.__main__ import main
from chaos import clock, points, stock

from hmt_pass.producer import Producer


def work(
    name: str, seed: int, faults: Mapping[str, Mapping[str, Any]], deaths: str, clock_s: float, stock_transport: bool
) -> None:
    """The worker command as the Procfile has it, with the fault points that are asked for."""
    if clock_s:
        clock.shift(clock_s)
    if stock_transport:
        stock.use()
    points.install(faults, seed, deaths)
    options = ["--loglevel=INFO", "--without-mingle", "--without-gossip", "-n", name]
    sys.argv = ["celery", "-A", "worker", "worker", *options]
    main()


def enqueue(redis_url: str, broker_url: str, jobs: Sequence[Mapping[str, Any]]) -> None:
    """Enqueue each job and print its id, or the error that it met: one line each."""
    producer = Producer(redis_url, broker_url)
    for job in jobs:
        try:
            print("accepted", producer.enqueue(**job), flush=True)  # noqa: T201  the log is how the test learns of it
        except Exception as error:  # noqa: BLE001  whatever it is, the test wants to see it
            print("refused", type(error).__name__, error, flush=True)  # noqa: T201
