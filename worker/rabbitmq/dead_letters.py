"""Dead letters on RabbitMQ: one durable message a job on `hmt_pass.dead_letter`, and the index in Redis beside it.

No transaction spans the two, so the order of the steps decides: a message is published before it is in the index, and
leaves the index before it leaves the queue. What is in between is for `tidy`: RabbitMQ hands out messages in order
only, so taking one out means going through them all. Looking at dead letters asks the index alone.
"""

import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kombu.message import Message

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.queues import dead_letter_queue
from hmt_pass.rabbit import Rabbit
from hmt_pass.store import Store
from worker.dead_letters import DeadLetter, DeadLetterIndex
from worker.envelope import TaskMessage
from worker.rabbitmq.puts import Put
from worker.rabbitmq.queues import RabbitQueues, send
from worker.rabbitmq.tidying import Tidying, Verdict

TIDY_LOCK_S = 120
TIDY_PATIENCE_S = 5.0

_KEYS = [keys.DEAD_LETTERS, keys.DEAD_LETTERS_BY_TIME, keys.DEAD_LETTERS_GONE]

# An entry that is replaced leaves its message in the queue: gone, from now on.
_ENTER = """
local index, by_time, gone = unpack(KEYS)
local job_id, entry, score, put_id = unpack(ARGV)
local old = redis.call('HGET', index, job_id)
if old and cjson.decode(old).put_id ~= put_id then redis.call('SADD', gone, cjson.decode(old).put_id) end
redis.call('HSET', index, job_id, entry)
redis.call('ZADD', by_time, score, job_id)
"""

_TAKE = """
local index, by_time, gone = unpack(KEYS)
local job_id, put_id = unpack(ARGV)
local old = redis.call('HGET', index, job_id)
if not old or (put_id ~= '' and cjson.decode(old).put_id ~= put_id) then return 0 end
redis.call('HDEL', index, job_id)
redis.call('ZREM', by_time, job_id)
redis.call('SADD', gone, cjson.decode(old).put_id)
return 1
"""


class RabbitDeadLetters(DeadLetterIndex):
    """All dead letters. Every method raises StoreError when RabbitMQ or Redis does not answer.

    `died(job_id, reason)` writes down that a job is dead: for the messages that RabbitMQ itself gave up.
    """

    def __init__(self, rabbit: Rabbit, queues: RabbitQueues, store: Store, died: Callable[[str, str], None]) -> None:
        super().__init__(store)
        self.rabbit = rabbit
        self._queues = queues
        self._died = died
        self._queue = dead_letter_queue()
        self._enter = store.register_script(_ENTER)
        self._take = store.register_script(_TAKE)

    def put(self, letter: DeadLetter, message: TaskMessage, score: float) -> None:
        """Keep a dead letter, in place of an earlier one of the same job; `score` (Unix time) orders the list."""
        self._keep(Put(letter, message, score, secrets.token_hex(8)))

    def redrive(self, job_id: str) -> bool:
        """Send the job's message home, then forget the dead letter; False when there is none.

        Cut in two it leaves both. A second redrive does no harm: a claim keeps the job from running twice at once.
        """
        entry = self._entry(job_id)
        if not entry:
            return False
        put = Put.from_entry(entry)
        self._queues.publish(put.message)
        return bool(self._take(keys=_KEYS, args=[job_id, put.put_id]))

    def discard(self, job_id: str) -> bool:
        """Drop the dead letter for good; False when there is none."""
        return bool(self._take(keys=_KEYS, args=[job_id, ""]))

    def declare(self) -> None:
        """Declare all queues of ours. Raises StoreError when one is there already and is not what it should be."""
        with self.rabbit.confirmed() as publisher:
            publisher.maybe_declare(self._queue)
            self._queues.declare(publisher)

    def keep_in_step(self) -> int:
        """Tidy if the queue does not hold as many messages as the index has entries; returns what `tidy` does."""
        self.declare()  # what RabbitMQ gives up has nowhere to go before
        return 0 if self.rabbit.depth(DEAD_LETTER_QUEUE) == self.count() else self.tidy()

    def tidy(self) -> int:
        """Bring queue and index in step; returns how many messages were taken from the queue, put there or indexed.

        Looks at the whole queue, one process at a time.
        """
        with self._tidies_alone() as alone:
            return self._tidy() if alone else 0

    def _tidy(self) -> int:
        tidying = Tidying.begin(self._store)
        verdicts = self._go_through(tidying)
        if tidying.gone:
            self._store.srem(keys.DEAD_LETTERS_GONE, *tidying.gone)
        lost = [Put.from_entry(entry) for job_id in tidying.lost if (entry := self._entry(job_id))]
        self._publish(lost)
        return verdicts[Verdict.GOES] + verdicts[Verdict.UNKNOWN] + len(lost)

    def _go_through(self, tidying: Tidying) -> Counter[Verdict]:
        """Take out what goes, index what is unknown, put back the rest; cut short, RabbitMQ puts all of it back."""
        verdicts: Counter[Verdict] = Counter()
        stays: list[Message] = []
        with self.rabbit.channel() as channel:
            for message in self._messages(channel):
                put = Put.received(message, tidying.now)
                verdict = tidying.judge(put)
                verdicts[verdict] += 1
                if verdict is Verdict.UNKNOWN:
                    self._adopt(put)
                if verdict is Verdict.GOES or not put.put_id:
                    message.ack()
                else:
                    stays.append(message)
            for message in stays:
                message.requeue()
        return verdicts

    def _messages(self, channel: Any) -> Iterator[Message]:  # noqa: ANN401  py-amqp has no types
        """Those that lie in the queue now. Asking for one after the other would take ten times as long."""
        queue: Any = self._queue(channel)
        queue.declare()
        count = queue.queue_declare(passive=True).message_count
        delivered: deque[Any] = deque()
        tag = channel.basic_consume(DEAD_LETTER_QUEUE, callback=delivered.append)
        for _ in range(count):
            while not delivered:
                channel.connection.drain_events(timeout=TIDY_PATIENCE_S)
            yield channel.message_to_python(delivered.popleft())
        channel.basic_cancel(tag)

    def _adopt(self, put: Put) -> None:
        """Index a dead letter; what nobody put is put now, and its first message can go."""
        self._died(put.letter.job_id, put.letter.reason)
        if put.put_id:
            self._index(put)
        else:
            self._keep(replace(put, put_id=secrets.token_hex(8)))

    def _keep(self, put: Put) -> None:
        self._publish([put])
        self._index(put)

    def _publish(self, puts: Iterable[Put]) -> None:
        with self.rabbit.confirmed() as publisher:
            publisher.maybe_declare(self._queue)
            for put in puts:
                send(publisher, put.message, "", DEAD_LETTER_QUEUE, put.headers)

    def _index(self, put: Put) -> None:
        self._enter(keys=_KEYS, args=[put.letter.job_id, put.to_json(), put.score, put.put_id])

    @contextmanager
    def _tidies_alone(self) -> Iterator[bool]:
        """Whether no other process tidies; one that died is waited for."""
        alone = bool(self._store.set(keys.DEAD_LETTERS_TIDIED, "1", nx=True, ex=TIDY_LOCK_S))
        try:
            yield alone
        finally:
            if alone:
                self._store.delete(keys.DEAD_LETTERS_TIDIED)
