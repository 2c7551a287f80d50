"""Invented names with their pinyin, in the mixture that the figures of docs/accuracy.md are measured on."""

import random
from dataclasses import dataclass
from functools import cache

from hmt_pass.endpoint.engine.pinyin import SEPARATOR, characters, only_reading

_SURNAMES = (
    "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许邓韩冯曹彭肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜崔谭"
    "陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万钱严洪武戴莫孔向汤"
)
_POLYPHONIC_SURNAMES = {"单": "SHAN", "曾": "ZENG", "解": "XIE", "仇": "QIU", "查": "ZHA", "盖": "GE", "区": "OU"}
_COMPOUND_SURNAMES = {
    "欧阳": "OUYANG",
    "司马": "SIMA",
    "上官": "SHANGGUAN",
    "诸葛": "ZHUGE",
    "尉迟": "YUCHI",
    "令狐": "LINGHU",
    "皇甫": "HUANGFU",
    "慕容": "MURONG",
    "夏侯": "XIAHOU",
    "公孙": "GONGSUN",
    "长孙": "ZHANGSUN",
    "宇文": "YUWEN",
    "司徒": "SITU",
    "端木": "DUANMU",
}
_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华文玉兰红春梅建国志海峰波宇浩欣怡子涵梓轩雨桐思远佳琪晓东鹏飞"
    "婷雪慧莹颖俊凯博雅诗琳瑶嘉诚安宁晨曦若兮天佑家辉永康瑞祥德福正义秋月冬青春燕彩云丹绿旅履"
)
_MINORITY_PARTS = {
    "买买提": "MAIMAITI",
    "吐尔逊": "TUERXUN",
    "艾力": "AILI",
    "努尔": "NUER",
    "古丽": "GULI",
    "迪丽拜尔": "DILIBAIER",
    "木拉提": "MULATI",
    "帕提古丽": "PATIGULI",
    "艾山": "AISHAN",
    "玉素甫": "YUSUFU",
    "热依汗": "REYIHAN",
    "库尔班": "KUERBAN",
}

_SECOND_CHARACTER = 0.75
"""Probability that a given name has one."""

_LAST_ROW_OF_COMMON = 55
"""GB 2312 keeps the 3,755 common characters in rows 16 to 55."""


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name, and its pinyin as permits print it: `SURNAME,GIVEN`."""

    characters: str
    pinyin: str


def invent_name(rng: random.Random) -> PersonName:
    """70 % common, 16 % with a rare character, 5 % with any standard one, 5 % compound surname, 4 % minority."""
    kinds = (_common, _rare, _any, _compound, _minority)
    return rng.choices(kinds, (70, 16, 5, 5, 4))[0](rng)


def _common(rng: random.Random) -> PersonName:
    return _join(_surname(rng), _given(rng, _readable(_GIVEN)))


def _rare(rng: random.Random) -> PersonName:
    return _with_one_of(_rare_characters(), rng)


def _any(rng: random.Random) -> PersonName:
    return _with_one_of(_readable("".join(sorted(characters()))), rng)


def _with_one_of(wanted: str, rng: random.Random) -> PersonName:
    given = rng.choice(wanted) + (rng.choice(_readable(_GIVEN)) if rng.random() < _SECOND_CHARACTER else "")
    return _join(_surname(rng), given)


def _compound(rng: random.Random) -> PersonName:
    return _join(rng.choice(sorted(_COMPOUND_SURNAMES.items())), _given(rng, _readable(_GIVEN)))


def _minority(rng: random.Random) -> PersonName:
    (first, first_said), (last, last_said) = rng.sample(sorted(_MINORITY_PARTS.items()), 2)
    return PersonName(f"{first}{SEPARATOR}{last}", f"{first_said},{last_said}")


def _surname(rng: random.Random) -> tuple[str, str]:
    common = [(character, only_reading(character)) for character in _readable(_SURNAMES)]
    return rng.choice(common + sorted(_POLYPHONIC_SURNAMES.items()))


def _given(rng: random.Random, wanted: str) -> str:
    return "".join(rng.choices(wanted, k=2 if rng.random() < _SECOND_CHARACTER else 1))


def _join(surname: tuple[str, str], given: str) -> PersonName:
    return PersonName(surname[0] + given, f"{surname[1]},{''.join(map(only_reading, given))}")


@cache
def _readable(wanted: str) -> str:
    """The characters whose pinyin is beyond doubt; interjections (`嗯` NG) are in nobody's name."""
    return "".join(character for character in wanted if set("AEIOU") & set(only_reading(character)))


@cache
def _rare_characters() -> str:
    return "".join(character for character in _readable("".join(sorted(characters()))) if not _is_common(character))


def _is_common(character: str) -> bool:
    try:
        return character.encode("gb2312")[0] - 0xA0 <= _LAST_ROW_OF_COMMON
    except UnicodeEncodeError:
        return False
