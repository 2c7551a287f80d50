"""Dead letters on RabbitMQ: one durable message a job on `hmt_pass.dead_letter`, and the index in Redis beside it.

No transaction spans the two, so the order of the steps decides: a message is published before it is in the index, and
leaves the index before it leaves the queue. What is in between is for `tidy`: RabbitMQ hands out messages in order
only, so taking one out means going through them all, once for a whole redrive. Looking at dead letters asks the index
alone.
"""

import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kombu.message import Message

from hmt_pass import keys
from hmt_pass.job import DEAD_LETTER_QUEUE
from hmt_pass.queues import dead_letter_queue
from hmt_pass.rabbit import Rabbit
from hmt_pass.store import Store
from worker.dead_letter_index import CHUNK, TIDY_LOCK_S, DeadLetterIndex, chunks, tidying_alone
from worker.envelope import TaskMessage
from worker.letters import DeadLetter, LetterId
from worker.puts import Put
from worker.rabbitmq.queues import RabbitQueues, send
from worker.rabbitmq.received import received
from worker.rabbitmq.tidying import Tidying, Verdict

TIDY_PATIENCE_S = 60.0  # RabbitMQ pauses while tens of thousands are handed out
PREFETCH = 50_000  # a consumer of a quorum queue is given no more than 2,000 unacknowledged messages unless it says so

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

# With a plan and its facts among the keys, the letter was moved by a named redrive.
_TAKE = """
local index, by_time, gone, plan, facts = unpack(KEYS)
local job_id, put_at = unpack(ARGV)
if plan then redis.call('ZREM', plan, job_id) end
local old, score = redis.call('HGET', index, job_id), redis.call('ZSCORE', by_time, job_id)
local taken = old and (put_at == '' or tonumber(score) == tonumber(put_at)) and 1 or 0
if taken == 1 then
    redis.call('HDEL', index, job_id)
    redis.call('ZREM', by_time, job_id)
    redis.call('SADD', gone, cjson.decode(old).put_id)
end
if plan then redis.call('HINCRBY', facts, taken == 1 and 'moved' or 'skipped', 1) end
return taken
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

    def redrive(self, letters: Mapping[LetterId, Put], name: str) -> int:
        """Send the messages of letters home, then take them out of the named redrive; returns how many those were.

        One that is gone, or was put anew since, is taken out of the redrive alone. Cut in two, what was sent is sent
        again: a claim lets each job run once.
        """
        self._queues.publish_all([put.message for put in letters.values()])
        return sum(self._take_all(letters, keys.redrive(name), keys.redrive_facts(name)))

    def discard(self, job_id: str) -> bool:
        """Drop the dead letter of a job for good; False when there is none."""
        return bool(self._take(keys=_KEYS, args=[job_id, ""]))

    def discard_all(self, letters: Iterable[LetterId]) -> list[str]:
        """Drop these letters and no later ones of the same jobs; returns the jobs of those that were there."""
        dropped: list[str] = []
        for chunk in chunks(letters, CHUNK):
            dropped += [letter.job_id for letter, gone in zip(chunk, self._take_all(chunk), strict=True) if gone]
        return dropped

    def declare(self) -> None:
        """Declare all queues of ours. Raises StoreError when one is there already and is not what it should be."""
        with self.rabbit.confirmed() as publisher:
            publisher.maybe_declare(self._queue)
            self._queues.declare(publisher)

    def keep_in_step(self) -> int:
        """Tidy if the queue does not hold as many messages as the index has entries; returns what `tidy` does.

        Not during a redrive, which does so at its end.
        """
        self.declare()  # what RabbitMQ gives up has nowhere to go before
        if self.store.exists(keys.REDRIVE_RUNS) or self.rabbit.depth(DEAD_LETTER_QUEUE) == self.count():
            return 0
        return self.tidy()

    def tidy(self) -> int:
        """Bring queue and index in step; returns how many messages were taken from the queue, put there or indexed.

        Looks at the whole queue, one process at a time.
        """
        with tidying_alone(self.store) as alone:
            return self._tidy() if alone else 0

    def _tidy(self) -> int:
        tidying = Tidying.begin(self.store)
        verdicts = self._go_through(tidying)
        for chunk in chunks(tidying.gone, CHUNK):
            self.store.srem(keys.DEAD_LETTERS_GONE, *chunk)
        return verdicts[Verdict.GOES] + verdicts[Verdict.UNKNOWN] + self._publish_lost(tidying.lost)

    def _publish_lost(self, job_ids: Iterable[str]) -> int:
        published = 0
        for chunk in chunks(job_ids, CHUNK):
            lost = [Put.from_entry(text) for text in self.store.hmget(keys.DEAD_LETTERS, chunk) if text]
            self._publish(lost)
            published += len(lost)
        return published

    def _go_through(self, tidying: Tidying) -> Counter[Verdict]:
        """Take out what goes and index what is unknown; the rest RabbitMQ puts back when the channel is closed."""
        verdicts: Counter[Verdict] = Counter()
        with self.rabbit.channel() as channel:
            for number, message in enumerate(self._messages(channel)):
                if number % CHUNK == 0:
                    self.store.expire(keys.DEAD_LETTERS_TIDIED, TIDY_LOCK_S)
                put = received(message, tidying.now)
                verdict = tidying.judge(put)
                verdicts[verdict] += 1
                if verdict is Verdict.UNKNOWN:
                    self._adopt(put)
                if verdict is Verdict.GOES or not put.put_id:
                    message.ack()
        return verdicts

    def _messages(self, channel: Any) -> Iterator[Message]:  # noqa: ANN401  py-amqp has no types
        """Those that lie in the queue now. Asking for one after the other would take ten times as long."""
        queue: Any = self._queue(channel)
        queue.declare()
        count = queue.queue_declare(passive=True).message_count
        delivered: deque[Any] = deque()
        channel.basic_qos(0, PREFETCH, a_global=False)
        tags = [channel.basic_consume(DEAD_LETTER_QUEUE, callback=delivered.append) for _ in range(0, count, PREFETCH)]
        for _ in range(count):
            while not delivered:
                channel.connection.drain_events(timeout=TIDY_PATIENCE_S)
            yield channel.message_to_python(delivered.popleft())
        for tag in tags:
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

    def _take_all(self, letters: Iterable[LetterId], *redrive: str) -> list[int]:
        """Take letters out of the index; `redrive` is the plan and the facts of the redrive that moved them."""
        with self.store.pipeline(transaction=False) as pipe:
            for letter in letters:
                self._take(keys=[*_KEYS, *redrive], args=list(letter), client=pipe)
            return pipe.execute()
