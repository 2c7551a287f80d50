"""Invented names with the pinyin that a permit prints, in the mixture of the published figures: 70/16/5/5/4."""

import random
from dataclasses import dataclass
from functools import cache

from hmt_pass.endpoint.engine.pinyin import characters, only_reading

SEPARATOR = "·"

_SURNAMES = {
    "ZHAO": "赵", "QIAN": "钱", "SUN": "孙", "LI": "李", "ZHOU": "周", "WU": "吴", "ZHENG": "郑", "WANG": "王汪",
    "FENG": "冯", "CHEN": "陈", "CHU": "褚储", "WEI": "卫魏韦", "JIANG": "蒋姜江", "SHEN": "沈", "HAN": "韩",
    "YANG": "杨", "ZHU": "朱", "QIN": "秦", "YOU": "尤游", "XU": "许徐", "HE": "何贺", "LYU": "吕", "SHI": "施石史",
    "ZHANG": "张章", "KONG": "孔", "CAO": "曹", "YAN": "严颜", "HUA": "华", "JIN": "金", "TAO": "陶", "QI": "戚齐祁",
    "XIE": "谢", "ZOU": "邹", "BAI": "柏白", "DOU": "窦", "SU": "苏", "PAN": "潘", "GE": "葛", "FAN": "范樊",
    "PENG": "彭", "LU": "鲁陆卢路", "MA": "马", "MIAO": "苗缪", "FANG": "方房", "YU": "俞于余喻", "YUAN": "袁",
    "LIU": "柳刘", "BAO": "鲍包", "TANG": "唐汤", "FEI": "费", "LEI": "雷", "NI": "倪", "TENG": "滕", "YIN": "殷尹",
    "LUO": "罗骆", "BI": "毕", "HAO": "郝", "AN": "安", "CHANG": "常", "FU": "傅符付", "KANG": "康", "YAO": "姚",
    "SHAO": "邵", "MAO": "毛茅", "DING": "丁", "LIN": "林", "GAO": "高", "GUO": "郭", "HUANG": "黄", "LIANG": "梁",
    "SONG": "宋", "DENG": "邓", "XIAO": "肖萧", "TIAN": "田", "DONG": "董", "CAI": "蔡", "YE": "叶", "CHENG": "程",
    "REN": "任", "ZHONG": "钟", "TAN": "谭谈", "LIAO": "廖", "JIA": "贾", "XIONG": "熊", "QIU": "邱仇", "HOU": "侯",
    "DUAN": "段", "LONG": "龙", "WAN": "万", "QU": "曲瞿", "CUI": "崔", "GUAN": "关管", "OU": "区", "SHAN": "单",
    "ZENG": "曾", "ZHA": "查",
}  # fmt: skip
_COMPOUND = {
    "欧阳": "OUYANG", "上官": "SHANGGUAN", "司马": "SIMA", "诸葛": "ZHUGE", "东方": "DONGFANG", "皇甫": "HUANGFU",
    "令狐": "LINGHU", "慕容": "MURONG", "司徒": "SITU", "宇文": "YUWEN", "长孙": "ZHANGSUN", "独孤": "DUGU",
    "南宫": "NANGONG", "夏侯": "XIAHOU", "端木": "DUANMU", "轩辕": "XUANYUAN", "钟离": "ZHONGLI", "闻人": "WENREN",
}  # fmt: skip
_MINORITY = {
    "阿卜杜拉": "ABUDULA", "艾合买提": "AIHEMAITI", "巴哈尔古丽": "BAHAERGULI", "才让": "CAIRANG", "达瓦": "DAWA",
    "哈丽丹": "HALIDAN", "卡德尔": "KADEER", "麦麦提": "MAIMAITI", "米热古丽": "MIREGULI", "尼格拉": "NIGELA",
    "帕尔哈提": "PAERHATI", "热合曼": "REHEMAN", "赛买提": "SAIMAITI", "塔依尔": "TAYIER", "吾买尔": "WUMAIER",
    "亚森": "YASEN", "伊力哈木": "YILIHAMU", "扎西": "ZHAXI", "祖丽胡马尔": "ZULIHUMAER", "阿依努尔": "AYINUER",
}  # fmt: skip
_GIVEN = (
    "安邦彬斌冰兵波博才昌超晨成春聪翠达丹德东栋芳飞凤福富刚光广贵国海涵浩洪厚虎欢辉惠慧火吉继佳嘉家坚俭健杰洁锦京晶静镜军君钧俊"
    "凯康科可坤兰磊蕾立丽莉力连莲良琳龙露满茂梅美萌孟敏明铭楠宁鹏萍平奇启强琴青清庆全权然仁荣蓉瑞润森山尚绍胜诗士世书树爽顺思松"
    "涛天田婷通彤伟文雯武霞先贤显祥向晓筱欣新鑫星秀旭学雪雅岩彦阳洋耀怡宜艺益义毅茵银英颖莹永勇友宇雨玉渊元媛源远月悦云芸泽哲珍"
    "振正政之志智中忠洲竹卓子紫宗祖"
)
_RARE_IN_NAMES = (
    "旻昉昕昱晁晔晗晞晟晖暄暐暘曈煊煜煦熙熠燊燚焱烨炜炘烜淼湉滢潇漪澍澔灏沅泓沁洺浠珂珏珩珺琇琎琚琛琨琬琮琰瑀瑄瑗瑭璁璇璟璠璨玥玘"
    "翀翊翎翙翯喆嘏埕垚堃墉奕妤妍姝姣娅娴婧婵婺媞嫣嬿岑岚峋崟嵘嶷忻恺惇懿戬敔斐昇杼枥栩桢梓楹榕槿樾欤毓烺祎祺禛禧筠箫粲绮缇缨罡羿"
    "翾聿芃芊芮苒茜荃荻莘菁菡萱蓁蔚蕙薇蘅衎衡訚詠谌谡谧赟轶辂遥邈郃郢鄞钰铄铖锜锴镕镠阆隽霁霏霖韫韬韶颀颢馥骁骅骐骞骥鸢麒黎鼐鼎龑"
)
_COMMON_ROWS = range(16, 56)
"""Where GB 2312 keeps its 3,755 common characters."""

_TWO_CHARACTERS = 0.78


@dataclass(frozen=True, slots=True)
class Name:
    """A name, and its pinyin as printed: `SURNAME,GIVEN`."""

    characters: str
    pinyin: str


def invent_name(rng: random.Random) -> Name:
    """70 % common, 16 % with a rare character, 5 % with any standard one, 5 % compound surname, 4 % minority."""
    return rng.choices((_common, _rare, _any, _compound, _minority), (70, 16, 5, 5, 4))[0](rng)


def _common(rng: random.Random) -> Name:
    return _name(_surname(rng), _given(rng))


def _rare(rng: random.Random) -> Name:
    """Half of them a character that parents look for, half any that is not common."""
    wanted = _certain(_RARE_IN_NAMES) if rng.random() < 1 / 2 else _uncommon()
    return _with(rng.choice(wanted), rng)


def _any(rng: random.Random) -> Name:
    return _with(rng.choice(_standard()), rng)


def _compound(rng: random.Random) -> Name:
    return _name(rng.choice(list(_COMPOUND.items())), _given(rng))


def _minority(rng: random.Random) -> Name:
    (own, own_said), (fathers, fathers_said) = rng.sample(list(_MINORITY.items()), 2)
    return Name(f"{own}{SEPARATOR}{fathers}", f"{own_said},{fathers_said}")


def _with(character: str, rng: random.Random) -> Name:
    """A name with this character in it, before or after a common one or alone."""
    other = rng.choice(_certain(_GIVEN)) if rng.random() < _TWO_CHARACTERS else ""
    return _name(_surname(rng), character + other if rng.random() < 1 / 2 else other + character)


def _surname(rng: random.Random) -> tuple[str, str]:
    said, written = rng.choice(list(_SURNAMES.items()))
    return rng.choice(written), said


def _given(rng: random.Random) -> str:
    return "".join(rng.choices(_certain(_GIVEN), k=2 if rng.random() < _TWO_CHARACTERS else 1))


def _name(surname: tuple[str, str], given: str) -> Name:
    return Name(surname[0] + given, f"{surname[1]},{''.join(map(only_reading, given))}")


@cache
def _certain(wanted: str) -> str:
    """Those with one reading, a syllable with a vowel: the truth must be beyond doubt."""
    return "".join(character for character in wanted if set(only_reading(character)) & set("AEIOU"))


@cache
def _standard() -> str:
    return _certain("".join(sorted(characters())))


@cache
def _uncommon() -> str:
    return "".join(character for character in _standard() if not _is_common(character))


def _is_common(character: str) -> bool:
    try:
        return character.encode("gb2312")[0] - 0xA0 in _COMMON_ROWS
    except UnicodeEncodeError:
        return False
