"""What a call takes, in OpenAPI: the parameters, in the query string and in both kinds of body."""

from typing import Any

from hmt_pass.endpoint import extension
from hmt_pass.endpoint.extension import Extension
from hmt_pass.endpoint.parameters import MAX_TEXT_BYTES, MULTIPART, SOURCES, URLENCODED
from hmt_pass.image import MAX_BYTES, MAX_PX, MIN_PX_EXCLUSIVE
from hmt_pass.permit import Flag

DESCRIPTION = f"""\
Parameters come in the query string, in a `{MULTIPART}` body or in a `{URLENCODED}` body, also mixed; all \
text is UTF-8 (1001). Every call needs `api_id`, `timestamp` and `sign`, and one image.

The image comes by `{"`, `".join(SOURCES)}`; of several that are sent the first in this order is read. It is a \
JPEG, BMP or PNG of at most {MAX_BYTES} bytes (1013), each side over {MIN_PX_EXCLUSIVE} px and at most {MAX_PX} px \
(1016).

An empty parameter counts as not sent. One that is sent twice with different values is refused (1002), and one of \
another name is ignored.\
"""

_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "api_id": ("API 账户: the account.", {"type": "string"}),
    "sequence_id": (
        "客户请求流水号: the caller's own number for this call, which appears in the log.",
        {"type": "string"},
    ),
    "timestamp": (
        "时间戳: Unix time in milliseconds, or in seconds.",
        {"type": "string", "pattern": "^([0-9]{10}|[0-9]{13})$"},
    ),
    "sign": (
        "签名: SHA-256 over api_id, api_secret and timestamp joined, in lower-case hex.",
        {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    ),
    "hmt_flag": (
        "0 Hong Kong and Macau, 1 Hong Kong, 2 Macau, 3 Taiwan. The first three find the same permits: one document.",
        {"type": "integer", "enum": [int(flag) for flag in Flag], "default": int(Flag.HK_AND_MACAU)},
    ),
    "image_id": (
        "图片的id: the image of an earlier call of this account, by the `image_id` of its answer.",
        {"type": "string"},
    ),
    "image_base64": (
        "The image in base64. A data URL, line breaks, the URL-safe alphabet, and padding left out are understood.",
        {"type": "string", "contentEncoding": "base64"},
    ),
    "url": (
        "An http or https address of the image, fetched within 5 s (1005, 1006).",
        {"type": "string", "format": "uri"},
    ),
    extension.PARAMETER: (
        "Beyond the paid service: `verdict` adds a verdict and a confidence for each field, `boxes` where it was read.",
        {"type": "string", "enum": [each.value for each in Extension]},
    ),
}

_FILE = {
    "description": "The image as a part of the body; its file name and type are not looked at.",
    "type": "string",
    "format": "binary",
}


def query_parameters() -> list[dict[str, Any]]:
    """The parameters as the query string takes them."""
    return [
        {"name": name, "in": "query", "required": False, "description": description, "schema": _schema(name)}
        for name, (description, _) in _PARAMETERS.items()
    ]


def request_body() -> dict[str, Any]:
    """Both kinds of body. None is required: a call can be made by the query string alone."""
    texts = {name: {"description": about, **_schema(name)} for name, (about, _) in _PARAMETERS.items()}
    return {
        "required": False,
        "content": {
            MULTIPART: {"schema": {"type": "object", "properties": {**texts, "file": _FILE}}},
            URLENCODED: {"schema": {"type": "object", "properties": texts}},
        },
    }


def _schema(name: str) -> dict[str, Any]:
    """The type of a parameter; a text with its length, in bytes where OpenAPI counts characters."""
    schema = _PARAMETERS[name][1]
    return schema if schema["type"] != "string" or "enum" in schema else {**schema, "maxLength": MAX_TEXT_BYTES[name]}
