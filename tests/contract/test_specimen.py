"""The generator of synthetic permits."""

import random

import pytest

from hmt_pass.endpoint.engine import dates, machine_readable, pinyin
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.specimen import invent
from hmt_pass.endpoint.specimen.people import invent_name

MANY = 400


def test_every_truth_is_whole_and_normal() -> None:
    rng = random.Random(1)
    permits = [invent(rng).permit for _ in range(MANY)]
    assert {(permit.problems, "" in permit.to_wire().values()) for permit in permits} == {((), False)}


def test_every_pinyin_spells_its_name() -> None:
    rng = random.Random(2)
    names = [invent_name(rng) for _ in range(MANY)]
    assert [name for name in names if not pinyin.spells(name.pinyin.replace(",", ""), name.characters)] == []


def test_names_are_as_mixed_as_they_should_be() -> None:
    rng = random.Random(3)
    names = [invent_name(rng).characters for _ in range(MANY)]
    rare = [name for name in names if name.encode("gbk", "replace") != name.encode("gb2312", "replace")]
    minority = [name for name in names if pinyin.SEPARATOR in name]
    assert (20 <= len(rare) <= 120, 5 <= len(minority) <= 40) == (True, True)


def test_every_term_is_five_or_ten_years_by_age() -> None:
    rng = random.Random(4)
    identities = [invent(rng) for _ in range(MANY)]
    terms = {dates.is_term(identity.issued, identity.expires) for identity in identities}
    children = [one for one in identities if one.expires.year - one.issued.year <= 5]
    assert (terms, 10 < len(children) < MANY) == ({True}, True)


def test_every_machine_readable_line_passes_its_checks() -> None:
    rng = random.Random(5)
    lines = [machine_readable.parse(invent(rng).machine_readable) for _ in range(MANY)]
    assert {line and line.strength for line in lines} == {4}


@pytest.mark.parametrize(("kind", "pattern"), [(Kind.HK_MACAU, {"C0", "CA"}), (Kind.TAIWAN, {"L0"})])
def test_numbers_have_the_forms_of_their_kind(kind: Kind, pattern: set[str]) -> None:
    rng = random.Random(6)
    numbers = [invent(rng, (kind,)).number for _ in range(MANY)]
    assert {number[0] + ("0" if number[1].isdecimal() else "A") for number in numbers} == pattern
