"""Calls in any order, cut off anywhere, with a disk that fails and an endpoint that restarts: nothing is used twice."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.accounts.usage import Usage, Used, read
from hmt_pass.endpoint.answers import RefusedError

MEMORY = Path("/dev/shm")  # a thousand writes that wait for a disk would tell no more and take a minute

QUOTA, BALANCE = 12, 5
ACCOUNT = Account("an-account", "a-secret", quota=QUOTA, balance=BALANCE)

COUNTED = [Code.OK, Code.NOT_AN_IMAGE]


class Calls(RuleBasedStateMachine):
    """The accounts of an endpoint, beside a plain list of what its callers were answered."""

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.path = Path(self.folder.name, "accounts.usage")
        self.away = Path(self.folder.name, "away")
        self.accounts = Accounts(ACCOUNT, usage=Usage(self.path))
        self.open: dict[asyncio.Task[Code], asyncio.Future[None]] = {}
        self.answers: list[Code] = []
        self.cut_off = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.stop())
        self.accounts.close()
        self.loop.close()
        self.folder.cleanup()

    async def call(self, reading: "asyncio.Future[None]") -> Code:
        try:
            async with self.accounts.booking(ACCOUNT) as booking:
                await reading
                booking.charge()
        except RefusedError as refusal:
            return refusal.code
        return Code.OK

    async def stop(self) -> None:
        """Cut off what is under way, as a server does that stops, and wait for the disk."""
        for task in self.open:
            task.cancel()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    def spin(self, times: int = 1) -> None:
        """Let everything go on as far as it can without the disk."""
        for _ in range(times):
            self.loop.run_until_complete(asyncio.sleep(0))

    @rule(target=begun)
    def begin(self) -> "asyncio.Task[Code]":
        reading: asyncio.Future[None] = self.loop.create_future()
        task = self.loop.create_task(self.call(reading))
        self.open[task] = reading
        self.spin()
        return task

    @rule(task=consumes(begun), code=st.sampled_from([*COUNTED, Code.OK, Code.SERVER_ERROR]))
    def end(self, task: "asyncio.Task[Code]", code: Code) -> None:
        reading = self.open.get(task)
        if reading and not reading.done():
            if code is Code.OK:
                reading.set_result(None)
            else:
                reading.set_exception(RefusedError(code))

    @rule(task=consumes(begun), code=st.sampled_from(COUNTED), spins=st.integers(0, 4))
    def end_and_cut_off(self, task: "asyncio.Task[Code]", code: Code, spins: int) -> None:
        self.end(task, code)
        self.spin(spins)
        task.cancel()

    @rule(task=consumes(begun))
    def cut_off(self, task: "asyncio.Task[Code]") -> None:
        task.cancel()

    @rule()
    def wait_for_the_disk(self) -> None:
        ending = [task for task, reading in self.open.items() if reading.done()]
        if ending:
            self.loop.run_until_complete(asyncio.wait(ending))

    @rule()
    def break_or_repair_the_disk(self) -> None:
        if self.path.exists():
            self.path.rename(self.away)
        else:
            self.away.rename(self.path)

    @rule()
    def restart(self) -> None:
        self.repair_the_disk()
        self.loop.run_until_complete(self.stop())
        self.accounts.close()
        self.accounts = Accounts(ACCOUNT, usage=Usage(self.path))

    @rule()
    def restart_and_use_up(self) -> None:
        """What the file leaves is what is let in, no call more and no call less."""
        self.restart()
        self.note_answers()
        used = self.used()
        left = min(BALANCE - used.charges, QUOTA - used.calls)
        tasks = [self.begin() for _ in range(left + 1)]
        for task in tasks[:left]:
            self.end(task, Code.OK)
        self.wait_for_the_disk()
        assert [Code.OK] * left == [task.result() for task in tasks[:left]]
        assert tasks[left].result() in {Code.NO_BALANCE, Code.QUOTA_EXCEEDED}

    def repair_the_disk(self) -> None:
        if self.away.exists():
            self.away.rename(self.path)

    @invariant()
    def what_is_written_is_what_was_answered(self) -> None:
        self.spin()
        self.note_answers()
        used = self.used()
        doubtful = self.cut_off + sum(reading.done() for reading in self.open.values())
        counted = [self.answers.count(code) for code in COUNTED]
        assert counted[0] <= used.charges <= min(BALANCE, counted[0] + doubtful)
        assert sum(counted) <= used.calls <= min(QUOTA, sum(counted) + doubtful)

    def note_answers(self) -> None:
        for task in [task for task in self.open if task.done()]:
            reading = self.open.pop(task)
            reading.cancel()
            if task.cancelled():
                self.cut_off += 1
            else:
                self.answers.append(task.result())

    def used(self) -> Used:
        return read(self.path if self.path.exists() else self.away).get("an-account", Used())


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
