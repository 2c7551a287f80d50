"""The accounts file: TOML, one table `[[account]]` for each (docs/endpoint.md has an example); or the environment."""

import logging
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from hmt_pass.endpoint.accounts.account import RIGHT, Account
from hmt_pass.errors import SettingsError

_MAX_RATE_PER_S = 1_000_000
_TEXT = "a text of printable characters, not empty, without spaces around it"

Table = Mapping[str, Any]

log = logging.getLogger(__name__)


def load(path: Path) -> tuple[Account, ...]:
    """The accounts in the file, at least one.

    Raises SettingsError with a line for every problem; it quotes no value, because one could be a secret.
    """
    tables = _tables(path)
    problems = [problem for number, table in enumerate(tables, 1) for problem in _problems(table, number)]
    problems += _duplicates(tables)
    if problems:
        raise SettingsError("\n".join([f"{path}: put these right, then start again", *problems]))
    if path.stat().st_mode & stat.S_IROTH:
        # Not refused: a secret that is mounted into a container is often readable by all of its users.
        log.warning("%s holds secrets and every user can read it: chmod 600", path)
    return tuple(_account(table) for table in tables)


def from_environment(environment: Mapping[str, str]) -> Account:
    """The account in HMT_PASS_API_ID and HMT_PASS_API_SECRET, without limits. Raises SettingsError."""
    names = ("HMT_PASS_API_ID", "HMT_PASS_API_SECRET")
    if missing := [name for name in names if not environment.get(name)]:
        raise SettingsError(f"set {' and '.join(missing)}: the account that callers sign with")
    if wrong := [name for name in names if not _is_text(environment[name])]:
        raise SettingsError(f"{' and '.join(wrong)} must be {_TEXT}")
    api_id, api_secret = (environment[name] for name in names)
    return Account(api_id, api_secret)


def usage_beside(path: Path) -> Path:
    """Where the usage of an accounts file is kept by default: `accounts.usage` for `accounts.toml`.

    Beside the file itself, not a link to it: by another name the accounts have no second grant.
    """
    return path.resolve().with_suffix(".usage")


def _tables(path: Path) -> list[Table]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"cannot read the accounts file {path}: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML in UTF-8: {error}") from None
    tables = document.pop("account", None)
    if document or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables) or not tables:
        raise SettingsError(f"{path} must hold one table [[account]] for each account, and nothing beside them")
    return tables


def _account(table: Table) -> Account:
    return Account(
        api_id=table["id"],
        api_secret=table["secret"],
        expires=table.get("expires"),
        rights=frozenset(table.get("rights", [RIGHT])),
        quota=table.get("quota"),
        balance=table.get("balance"),
        rate_per_s=table.get("rate"),
        restricted=table.get("restricted", False),
    )


def _problems(table: Table, number: int) -> Iterator[str]:
    name = f"account {table['id']}" if _is_text(table.get("id")) else f"account number {number}"
    yield from (f"{name}: {key} is missing" for key in ("id", "secret") if key not in table)
    for key, value in table.items():
        if key not in _KEYS:
            yield f"{name}: there is no {key!r}; the keys are {', '.join(_KEYS)}"
        elif not _KEYS[key][0](value):
            yield f"{name}: {key} must be {_KEYS[key][1]}"


def _duplicates(tables: list[Table]) -> list[str]:
    counted = Counter(table["id"] for table in tables if _is_text(table.get("id")))
    return [f"account {name}: its id is there {count} times" for name, count in counted.items() if count > 1]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value == value.strip() != ""


def _is_expiry(value: object) -> bool:
    return value.tzinfo is not None if isinstance(value, datetime) else isinstance(value, date)


def _are_rights(value: object) -> bool:
    return isinstance(value, list) and all(_is_text(right) for right in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= _MAX_RATE_PER_S


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_text, _TEXT),
    "secret": (_is_text, _TEXT),
    "expires": (_is_expiry, "a day as 2027-12-31, or a time with its offset as 2027-12-31T18:00:00+08:00"),
    "rights": (_are_rights, f'a list of texts as ["{RIGHT}"]'),
    "quota": (_is_count, "a whole number of calls, 0 or more"),
    "balance": (_is_count, "a whole number of paid answers, 0 or more"),
    "rate": (_is_rate, f"a number of calls a second above 0, at most {_MAX_RATE_PER_S:,}"),
    "restricted": (_is_flag, "true or false"),
}
