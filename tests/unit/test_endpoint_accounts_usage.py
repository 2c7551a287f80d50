"""What the accounts have used, in a file that outlives the process."""

import asyncio
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hmt_pass.codes import Code
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.accounts.usage import Usage, Used, read
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.errors import SettingsError

ACCOUNT = Account("an-account", "a-secret", quota=10, balance=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.usage"


@pytest.fixture
def usage(path: Path) -> Iterator[Usage]:
    with closing(Usage(path)) as usage:
        yield usage


def add(usage: Usage, *spent: Used) -> None:
    async def record() -> None:
        await asyncio.gather(*(usage.record("an-account", each) for each in spent))

    asyncio.run(record())


def call(accounts: Accounts) -> Code:
    async def book() -> None:
        async with accounts.booking(ACCOUNT) as booking:
            booking.charge()

    try:
        asyncio.run(book())
    except RefusedError as refusal:
        return refusal.code
    return Code.OK


def test_what_was_used_is_there_after_a_restart(path: Path) -> None:
    with closing(Usage(path)) as usage:
        assert {} == usage.totals()
        add(usage, Used(1, 1), Used(1, 0), Used(1, 1))
    with closing(Usage(path)) as usage:
        assert {"an-account": Used(3, 2)} == usage.totals()


def test_what_is_written_outlives_a_loss_of_power(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []

    class Seen(sqlite3.Connection):
        def __init__(self, *arguments: str, **named: bool) -> None:
            super().__init__(*arguments, **named)
            opened.append(self)

    monkeypatch.setattr(sqlite3, "connect", Seen)
    with closing(Usage(path)):
        (durability,) = opened[-1].execute("PRAGMA synchronous").fetchone()
    assert 3 == durability  # EXTRA: the directory is on disk too when a transaction ends


def test_calls_that_end_together_are_each_written_once(path: Path, usage: Usage) -> None:
    add(usage, *[Used(1, 1), Used(1, 0)] * 100)
    assert {"an-account": Used(200, 100)} == read(path)


def test_calls_that_end_together_fail_together(path: Path, usage: Usage) -> None:
    async def end_together() -> list[object]:
        return await asyncio.gather(*(usage.record("an-account", Used(1, 1)) for _ in range(9)), return_exceptions=True)

    path.rename(path.with_name("away"))
    outcomes = asyncio.run(end_together())
    path.with_name("away").rename(path)
    assert [Code.SERVER_ERROR] * 9 == [getattr(outcome, "code", None) for outcome in outcomes]
    assert {} == usage.totals()


def test_a_balance_counts_on_after_a_restart(path: Path) -> None:
    codes = []
    for _ in range(3):
        with closing(Accounts(ACCOUNT, usage=Usage(path))) as accounts:
            codes.append(call(accounts))
    assert [Code.OK, Code.OK, Code.NO_BALANCE] == codes


def test_to_raise_the_grant_is_to_top_up(path: Path) -> None:
    with closing(Usage(path)) as usage:
        add(usage, Used(2, 2))
    with closing(Accounts(Account("an-account", "a-secret", balance=3), usage=Usage(path))) as accounts:
        assert [Code.OK, Code.NO_BALANCE] == [call(accounts), call(accounts)]


def test_the_file_is_for_its_owner_alone(path: Path, usage: Usage) -> None:
    add(usage, Used(1, 0))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_what_was_used_is_readable_meanwhile(path: Path, usage: Usage) -> None:
    add(usage, Used(1, 1))
    assert {"an-account": Used(1, 1)} == read(path)


def test_a_second_endpoint_is_kept_away(path: Path, usage: Usage) -> None:
    with pytest.raises(SettingsError, match=r"another endpoint counts in .* choose another --usage"):
        Usage(path)
    add(usage, Used(1, 0))
    assert {"an-account": Used(1, 0)} == usage.totals()


def test_another_name_of_the_same_file_is_the_same_file(path: Path, usage: Usage) -> None:
    alias = path.with_name("alias.usage")
    alias.symlink_to(path)
    with pytest.raises(SettingsError, match="another endpoint counts in"):
        Usage(alias)
    assert {} == usage.totals()


def test_a_file_that_begins_is_mentioned(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    Usage(path).close()
    Usage(path).close()
    assert [f"no usage file at {path}: counting begins at nothing"] == caplog.messages


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no database at all", b"SQLite format 3\0" + b"\0" * 4080])
def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"cannot be read as a usage file .* put a copy back"):
            Usage(path)
    assert content == path.read_bytes()


def test_a_damaged_page_is_found_at_the_start(path: Path) -> None:
    with closing(Usage(path)) as usage:
        add(usage, Used(1, 1))
    content = bytearray(path.read_bytes())
    content[4096:4196] = os.urandom(100)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read as a usage file"):
        Usage(path)


def test_another_program_s_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE used (something)")
    with pytest.raises(SettingsError, match="cannot be read as a usage file"):
        Usage(path)


def test_a_folder_in_the_place_of_the_file_is_a_clear_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(SettingsError, match="it must be a file that this user may write"):
        Usage(path)


def test_a_folder_that_is_not_there_is_a_clear_error(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file or directory.*choose another place with --usage"):
        Usage(path.parent / "nowhere" / "accounts.usage")


def test_a_journal_that_a_deleted_file_left_behind_is_not_played_into_the_new_one(path: Path) -> None:
    Usage(path).close()
    journal = path.with_name("accounts.usage-journal")
    with closing(sqlite3.connect(path, isolation_level=None)) as killed:
        killed.execute("BEGIN")
        killed.executemany("INSERT INTO used VALUES (?, 1, 1)", [[str(number)] for number in range(2000)])
        killed.execute("COMMIT")
        killed.execute("PRAGMA cache_size = 1")  # so that the journal counts before the end
        killed.execute("BEGIN")
        killed.execute("UPDATE used SET calls = 2")
        left_behind = journal.read_bytes()
    path.unlink()
    journal.write_bytes(left_behind)
    with closing(Usage(path)) as usage:
        assert {} == usage.totals()


def test_an_unwritten_call_is_9999_and_not_charged_and_the_log_says_what_to_do(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = path.with_name("away")
    with closing(Accounts(ACCOUNT, usage=Usage(path))) as accounts:
        codes = [call(accounts)]
        path.rename(away)
        codes += [call(accounts), call(accounts)]
        assert {"an-account": Used(1, 1)} == read(away)
        away.rename(path)
        codes += [call(accounts), call(accounts)]
    assert ["0000", "9999", "9999", "0000", "9980"] == [code.value for code in codes]
    assert {"an-account": Used(2, 2)} == read(path)
    assert "not charged. Make room on its disk; if the file was moved, put it back or restart" in caplog.text
    assert "a-secret" not in caplog.text


def test_a_deleted_file_is_noticed_at_the_next_call(path: Path) -> None:
    with closing(Accounts(ACCOUNT, usage=Usage(path))) as accounts:
        path.unlink()
        assert Code.SERVER_ERROR is call(accounts)


def test_a_call_that_was_not_done_is_not_written(path: Path) -> None:
    async def overloaded() -> None:
        async with accounts.booking(ACCOUNT):
            raise RefusedError(Code.RATE_EXCEEDED)

    with closing(Accounts(ACCOUNT, usage=Usage(path))) as accounts:
        with pytest.raises(RefusedError):
            asyncio.run(overloaded())
        assert {} == read(path)


def test_a_call_cut_off_while_it_is_written_is_charged_once_and_holds_its_place_until_then(path: Path) -> None:
    account = Account("an-account", "a-secret", balance=1)

    async def cut_off(accounts: Accounts) -> Code:
        charged = asyncio.Event()

        async def paid() -> None:
            async with accounts.booking(account) as booking:
                booking.charge()
                charged.set()

        first = asyncio.create_task(paid())
        await charged.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        try:
            await paid()
        except RefusedError as refusal:
            return refusal.code
        return Code.OK

    with closing(Accounts(account, usage=Usage(path))) as accounts:
        assert Code.NO_BALANCE is asyncio.run(cut_off(accounts))
    assert {"an-account": Used(1, 1)} == read(path)
