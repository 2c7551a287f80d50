"""What a permit looks like: kinds, labels, places of issue, and where on the card things are printed.

Positions are in card units: tenths of a millimetre on an ID-1 card, 856 wide and 540 high, origin at the top left.
"""

from dataclasses import dataclass
from enum import Enum

WIDTH, HEIGHT = 856, 540


class Kind(Enum):
    """The two permits: title, first two characters of the machine-readable line, first letter of the number."""

    HK_MACAU = "往来港澳通行证", "CS", "C"
    TAIWAN = "往来台湾通行证", "CD", "L"

    def __init__(self, title: str, document: str, prefix: str) -> None:
        self.title, self.document, self.prefix = title, document, prefix


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the card, in card units."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float, margin: float = 0.0) -> bool:
        """Whether the point lies inside, or no farther outside than `margin`."""
        across = self.left - margin <= x <= self.right + margin
        return across and self.top - margin <= y <= self.bottom + margin

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Clockwise from the top left."""
        return (self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)

    @property
    def middle(self) -> float:
        """Height of the middle of the line that the box holds."""
        return (self.top + self.bottom) / 2


TITLE = Box(150, 36, 525, 84)
NUMBER = Box(592, 54, 822, 98)
NAME = Box(300, 125, 620, 176)
PINYIN = Box(300, 172, 640, 212)
BIRTHDAY = Box(302, 252, 468, 295)
SEX = Box(533, 252, 575, 295)
VALIDITY = Box(302, 326, 645, 366)
AUTHORITY = Box(302, 392, 610, 436)
PLACE = Box(621, 392, 770, 436)
MACHINE_READABLE = Box(50, 468, 788, 506)
PORTRAIT = Box(55, 140, 270, 425)
OUTLINE = Box(0, 0, WIDTH, HEIGHT)

LABELS = {
    "出生日期": Box(302, 222, 382, 250),
    "性别": Box(533, 222, 573, 250),
    "有效期限": Box(302, 296, 382, 324),
    "签发机关": Box(302, 368, 382, 396),
    "签发地点": Box(640, 368, 720, 396),
}

AUTHORITIES = ("公安部出入境管理局", "中华人民共和国出入境管理局")
"""Before and since September 2018."""

SEXES = ("男", "女")

# fmt: off
PLACES = (
    "北京", "天津", "河北", "山西", "内蒙古", "辽宁", "吉林", "黑龙江", "上海", "江苏", "浙江",
    "安徽", "福建", "江西", "山东", "河南", "湖北", "湖南", "广东", "广西", "海南", "重庆",
    "四川", "贵州", "云南", "西藏", "陕西", "甘肃", "青海", "宁夏", "新疆",
)
# fmt: on
"""The 31 places that issue permits."""
