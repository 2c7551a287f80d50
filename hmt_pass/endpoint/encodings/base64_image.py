"""The bytes behind `image_base64`, in every spelling that can be meant in only one way.

The API text says "base64" and no more. Callers also send it with line breaks (Java's old encoder, `base64` on Unix), as
a data URL (a browser's FileReader), in the URL-safe alphabet, without the padding, and with spaces in the place of
`+` (a form body put together without escaping).
"""

import base64
import binascii
import re

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError

_DATA_URL = re.compile(r"\s*+data:[^,]{0,128};base64,", re.IGNORECASE)
_QUANTUM = 4
_BREAKS = str.maketrans("", "", "\r\n\t")
_URL_SAFE = str.maketrans("-_", "+/")


def decode(text: str) -> bytes:
    """The image. Raises RefusedError 1015 with `image` and a reason when the text is no base64."""
    if not text.isascii():  # to translate megabytes of it would hold up everybody else for a second
        raise _refused()
    prefix = _DATA_URL.match(text)
    digits = _with_plus_signs(text[prefix.end() if prefix else 0 :].translate(_BREAKS))
    digits = digits.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % _QUANTUM), validate=True)
    except binascii.Error:
        raise _refused() from None


def _refused() -> RefusedError:
    reason = "image_base64 is not base64: send the file's bytes in base64, percent-encoded in a form body"
    return RefusedError(Code.NOT_AN_IMAGE, reason, "image_base64")


def _with_plus_signs(text: str) -> str:
    """Spaces as `+`, but for those around the text: no image begins with one, and a whole text needs no more."""
    text = text.lstrip(" ")
    bare = text.rstrip(" ")
    return (text if len(bare) % _QUANTUM else bare).replace(" ", "+")
