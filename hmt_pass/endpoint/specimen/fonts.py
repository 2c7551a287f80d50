"""Fonts out of the wheel pylopdf-fonts-zh-cn: Noto Sans SC and Noto Serif SC (SIL Open Font License 1.1)."""

import importlib.util
from functools import cache
from pathlib import Path

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

from hmt_pass.errors import SettingsError

SANS, SERIF = "NotoSansSC-Regular.otf", "NotoSerifSC-Regular.otf"

_CARRIER = "pylopdf_fonts_zh_cn"


@cache
def load(name: str, size_px: int) -> FreeTypeFont:
    """A font at a size. Raises SettingsError when the fonts are not installed."""
    found = importlib.util.find_spec(_CARRIER)
    if found is None or not found.submodule_search_locations:
        raise SettingsError("specimens need the fonts of pylopdf-fonts-zh-cn: install it with pip")
    return ImageFont.truetype(str(Path(found.submodule_search_locations[0]) / name), size_px)
