"""A broker as a worker has it, on each of the three things that it may rest on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from brokers import Lying, RabbitBroker, look_in_redis

from hmt_pass import keys
from hmt_pass.store import Store
from worker.broker import Delays, Queues
from worker.dead_letters import DeadLetters
from worker.delayed import Delayed
from worker.queues import RedisQueues
from worker.rabbitmq.dead_letters import RabbitDeadLetters
from worker.rabbitmq.delays import RabbitDelays
from worker.rabbitmq.queues import RabbitQueues
from worker.redrives import Redrives
from worker.wanted import Wanted


@dataclass(frozen=True, slots=True)
class Side:
    """An empty broker. `store` has the states, and on Redis the queues; `look` says what lies in a queue."""

    store: Store
    queues: Queues
    delayed: Delays
    dead_letters: DeadLetters | RabbitDeadLetters
    look: Callable[[str], list[Lying]]

    def redrive(self, *job_ids: str, name: str = "june-outage") -> int:
        """Keep a redrive of these jobs and move them; returns how many."""
        redrives = Redrives(self.dead_letters.store)
        redrives.keep(name, [letter for letter, _ in self.dead_letters.select(Wanted(job_ids=job_ids))], "ann", {})
        return self.move(name)

    def move(self, name: str) -> int:
        """Move what is left of a redrive, without the states of its jobs."""
        letters = Redrives(self.dead_letters.store).next(name, 1000)
        puts = zip(letters, self.dead_letters.puts(letters), strict=True)
        return self.dead_letters.redrive({letter: put for letter, put in puts if put}, name)


def on_redis(store: Store) -> Side:
    return Side(store, RedisQueues(store), Delayed(store), DeadLetters(store), partial(look_in_redis, store))


def on_rabbitmq(broker: RabbitBroker, store: Store) -> Side:
    queues = RabbitQueues(broker.rabbit, broker.url)

    def died(job_id: str, reason: str) -> None:
        store.hset(keys.job(job_id), items=["state", "dead", "reason", reason])

    letters = RabbitDeadLetters(broker.rabbit, queues, store, died)
    return Side(store, queues, RabbitDelays(broker.rabbit, broker.url, store), letters, broker.look)
