"""The accounts file, and the command that shows what is left."""

import asyncio
import logging
from datetime import date, datetime
from pathlib import Path

import pytest

from hmt_pass.endpoint.accounts import Account, Accounts, file
from hmt_pass.endpoint.accounts.__main__ import main
from hmt_pass.errors import SettingsError

SECRET = "a-secret-nobody-may-see"

KEYS = ("id", "secret", "expires", "rights", "quota", "balance", "rate", "restricted")

WHOLE = f"""
[[account]]
id = "web-app"
secret = "{SECRET}"
expires = 2027-12-31
rights = ["hmt_pass", "id_card"]
quota = 1000
balance = 500
rate = 2.5
restricted = true

[[account]]
id = "batch"
secret = "another-secret"
expires = 2027-12-31T18:00:00+08:00
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.touch(0o600)
    return path


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        file.load(path)
    assert SECRET not in str(caught.value)
    return str(caught.value).splitlines()


def test_every_key_of_an_account_is_read(path: Path) -> None:
    path.write_text(WHOLE)
    rights = frozenset({"hmt_pass", "id_card"})
    whole = Account("web-app", SECRET, date(2027, 12, 31), rights, 1000, 500, 2.5, restricted=True)
    ends = datetime.fromisoformat("2027-12-31T18:00:00+08:00")
    assert (whole, Account("batch", "another-secret", ends)) == file.load(path)


def test_a_byte_order_mark_is_no_part_of_the_file(path: Path) -> None:
    path.write_text(WHOLE, encoding="utf-8-sig")
    assert 2 == len(file.load(path))


def test_a_link_to_the_file_has_no_grants_of_its_own(path: Path) -> None:
    link = path.parent / "elsewhere" / "link.toml"
    link.parent.mkdir()
    link.symlink_to(path)
    assert path.resolve().with_suffix(".usage") == file.usage_beside(link)


def test_an_account_without_grants_is_without_limits(path: Path) -> None:
    path.write_text('[[account]]\nid = "web-app"\nsecret = "a-secret"\n')
    assert (Account("web-app", "a-secret"),) == file.load(path)


def test_every_problem_of_every_account_is_reported_at_once(path: Path) -> None:
    found = problems(
        path,
        f"""
        [[account]]
        id = "web-app"
        secret = "{SECRET}"
        ballance = 5

        [[account]]
        secret = ""
        quota = -1

        [[account]]
        id = "web-app"
        rate = 0
        """,
    )
    assert [
        f"{path}: put these right, then start again",
        f"account web-app: there is no 'ballance'; the keys are {', '.join(KEYS)}",
        "account number 2: id is missing",
        "account number 2: secret must be a text of printable characters, not empty, without spaces around it",
        "account number 2: quota must be a whole number of calls, 0 or more",
        "account web-app: secret is missing",
        "account web-app: rate must be a number of calls a second above 0, at most 1,000,000",
        "account web-app: its id is there 2 times",
    ] == found


@pytest.mark.parametrize(
    "line",
    [
        "id = 7",
        'id = ""',
        'id = " web-app"',
        'id = "web\\napp"',
        f'secret = ["{SECRET}"]',
        f'secret = "{SECRET}\\n"',
        'expires = "2027-12-31"',
        "expires = 2027-12-31T18:00:00",
        "expires = 18:00:00",
        'rights = "hmt_pass"',
        "rights = [1]",
        'rights = [""]',
        "quota = 1.5",
        "quota = true",
        "balance = -1",
        'balance = "5"',
        "rate = 0",
        "rate = -1",
        "rate = nan",
        "rate = inf",
        "rate = 1000001",
        "rate = true",
        "restricted = 1",
    ],
)
def test_a_value_of_another_kind_is_one_problem(path: Path, line: str) -> None:
    key = line.partition(" ")[0]
    whole = {"id": 'id = "web-app"', "secret": f'secret = "{SECRET}"'} | {key: line}
    found = problems(path, "\n".join(["[[account]]", *whole.values()]))
    assert 2 == len(found)
    assert f": {key} must be " in found[1]


@pytest.mark.parametrize("text", ["", "account = 1", "account = []", "account = [1]", "[account]", "[[accounts]]"])
def test_a_file_without_accounts_is_told_what_to_hold(path: Path, text: str) -> None:
    assert [f"{path} must hold one table [[account]] for each account, and nothing beside them"] == problems(path, text)


def test_a_setting_beside_the_accounts_is_a_problem(path: Path) -> None:
    assert "nothing beside them" in problems(path, "rate = 5\n" + WHOLE)[0]


def test_what_is_no_toml_is_told_where_and_not_quoted(path: Path) -> None:
    assert "line 2" in problems(path, f"[[account]]\nsecret = {SECRET}\n")[0]


def test_what_is_not_utf_8_is_a_problem(path: Path) -> None:
    path.write_bytes(b'[[account]]\nid = "\xff"\n')
    with pytest.raises(SettingsError, match="not TOML in UTF-8"):
        file.load(path)


def test_a_file_that_is_not_there_is_named(path: Path) -> None:
    path.unlink()
    with pytest.raises(SettingsError, match=r"accounts\.toml: No such file"):
        file.load(path)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_file_that_every_user_can_read_is_warned_of(
    path: Path, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path.write_text(WHOLE)
    path.chmod(mode)
    file.load(path)
    assert warned == ("chmod 600" in caplog.text)


def test_the_command_shows_what_is_used_while_the_endpoint_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(
        """
        [[account]]
        id = "web-app"
        secret = "a-secret"
        quota = 10
        balance = 1
        [[account]]
        id = "old"
        secret = "a-secret"
        expires = 2020-01-01
        rate = 2
        [[account]]
        id = "free"
        secret = "a-secret"
        """
    )
    running = Accounts.from_file(path)

    async def call() -> None:
        async with running.booking(file.load(path)[0]) as booking:
            booking.charge()

    asyncio.run(call())
    assert 0 == main([str(path)])
    running.close()
    assert [
        ["account", "expires", "calls", "quota", "charged", "balance", "rate/s", "state"],
        ["web-app", "-", "1", "10", "1", "1", "-", "9980", "the", "account", "has", "no", "money", "left"],
        ["old", "2020-01-01", "0", "-", "0", "-", "2", "1008", "the", "account", "has", "expired;", "see", "reason"],
        ["free", "-", "0", "-", "0", "-", "-", "open"],
    ] == [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_command_needs_no_usage_file_and_makes_none(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(WHOLE)
    assert 0 == main([str(path)])
    assert [path] == list(path.parent.iterdir())
    assert SECRET not in capsys.readouterr().out


def test_the_command_fails_on_a_file_that_it_cannot_read(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(WHOLE)
    path.with_suffix(".usage").write_text("no database")
    assert 2 == main([str(path)])
    assert "cannot be read as a usage file" in capsys.readouterr().err
