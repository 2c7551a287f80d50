"""The number of a permit: C or L and eight digits, since December 2018 C, a letter and seven digits."""

import re

_NUMBER = re.compile(r"([CL])([A-HJ-NP-Z0-9])(\d{7})")
_LENGTH = 9
_DIGIT_FOR = str.maketrans("OQDILZSBG", "000112586")


def find(text: str) -> str:
    """The number that a line consists of, repaired where a letter stands for a digit; empty when it is none."""
    squeezed = re.sub(r"[^A-Z0-9]", "", text.upper())
    if len(squeezed) != _LENGTH:
        return ""
    first, second, digits = squeezed[0].replace("G", "C"), squeezed[1], squeezed[2:].translate(_DIGIT_FOR)
    if first == "L" or second in "IO":
        second = second.translate(_DIGIT_FOR)
    return first + second + digits if _NUMBER.fullmatch(first + second + digits) else ""
