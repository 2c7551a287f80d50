"""What a call is answered, in OpenAPI: the schemas of both shapes, and an example of every business code."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.answers import CHARGED, NOT_CHARGED, RefusedError
from hmt_pass.endpoint.conventions import Conventions, Shape, http_status
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.endpoint.parameters import SOURCES
from hmt_pass.permit import WIRE_NAMES, Permit

_FIELDS = {
    "card_num": "卡号: the number of the permit",
    "name_chn": "姓名: the name in Chinese",
    "name_eng": "姓名拼音: the name in pinyin",
    "birthday": "出生日期: YYYYMMDD",
    "sex": "性别: 男 or 女",
    "valid_date": "有效期限: YYYYMMDD-YYYYMMDD",
    "address": "签发地点: the place of issue",
}
_EXAMPLE = Permit("c10563465", "陈露露", "CHENLULU", "19900201", "女", "20150116-20250115", "山东")
_REQUEST_ID, _IMAGE_ID = "TID84e25c1aa8a14a018b30703aeb2b14be", "d973ae315e3240a99a2e3ee902ec7a13"

_DETAILS: Mapping[Code, tuple[str, str]] = {
    Code.BAD_REQUEST: ("sign is missing", ""),
    Code.NO_FACE: ("the card's portrait is missing", "file"),
    Code.ACCOUNT_EXPIRED: ("the account expired on 2026-01-31", ""),
    Code.IMAGE_TOO_LARGE: ("the file has 6000000 bytes; at most 5242880 are allowed", "file"),
    Code.IMAGE_MISSING: ("", "image_id"),
    Code.NOT_AN_IMAGE: ("the JPEG is cut off; take the photo again or send the original file", "file"),
    Code.BAD_IMAGE_SIZE_OR_FORMAT: ("no permit of hmt_flag 0 found", "file"),
}
"""`reason` and `image` of the examples, for the codes that carry them."""


def schemas(conventions: Conventions, with_faults: bool) -> dict[str, Any]:
    """The schemas that `responses` refers to."""
    return {
        "Recognized": _recognized(conventions.shape),
        "Refused": _refused(with_faults),
        "Fields": _object({"image_id": _hex(32, "The image, for later calls"), **_fields({"type": "string"})}),
        "Extension": _extension(),
    }


def responses(conventions: Conventions, with_faults: bool) -> dict[str, Any]:
    """The answers by HTTP status, each with the business codes that go with it as examples."""

    def status(code: Code) -> int:
        return http_status(conventions.http_status, code.value)

    by_status = groupby(sorted(Code, key=status), status)
    found = {str(number): _response(list(listed), conventions) for number, listed in by_status}
    return found | (_GARBAGE if with_faults else {})


def _response(listed: list[Code], conventions: Conventions) -> dict[str, Any]:
    names = (["Recognized"] if Code.OK in listed else []) + (["Refused"] if listed != [Code.OK] else [])
    references = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    examples = {code.value: {"summary": _summary(code), "value": _example(code, conventions)} for code in listed}
    schema = references[0] if len(references) == 1 else {"oneOf": references}
    codes = ", ".join(code.value for code in listed)
    return {
        "description": f"Business code {codes}",
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }


def _summary(code: Code) -> str:
    return f"{code.meaning}; here only by a forced fault" if code is Code.BAD_LIVENESS_DATA else code.meaning


def _example(code: Code, conventions: Conventions) -> dict[str, Any]:
    if code is Code.OK:
        answer = answers.recognized(Reading(Kind.HK_MACAU, _EXAMPLE), _IMAGE_ID, conventions.shape)
    else:
        answer = answers.refused(RefusedError(code, *_DETAILS.get(code, ())))
    return answer.body | {"request_id": _REQUEST_ID}


def _recognized(shape: Shape) -> dict[str, Any]:
    extension = {"extension": {"$ref": "#/components/schemas/Extension"}}
    fields = {"$ref": "#/components/schemas/Fields"}
    nested = {"words_result_num": {"type": "integer", "const": 1}, "words_result": fields}
    flat = {"image_id": _hex(32, "The image, for later calls"), **_fields({"type": "string"})}
    data = _object(flat if shape is Shape.FLAT else nested, extension)
    return _object(_envelope({"const": Code.OK.value}, CHARGED) | {"data": data})


def _refused(with_faults: bool) -> dict[str, Any]:
    listed = {"enum": [code.value for code in Code if code is not Code.OK]}
    any_other = {"pattern": "^[0-9]{4}$", "not": {"const": Code.OK.value}}
    details = {
        "reason": {"type": "string", "description": "What is wrong, for the developer; with 1002 and 1008 always"},
        "image": {
            "enum": list(SOURCES),
            "description": "The parameter that brought the image, with 1004 and 1013-1016",
        },
    }
    return _object(_envelope(any_other if with_faults else listed, NOT_CHARGED), details)


def _envelope(code: dict[str, Any], charge: int) -> dict[str, Any]:
    return {
        "request_id": {"type": "string", "pattern": "^TID[0-9a-f]{32}$", "description": "This call, in the log"},
        "code": {"type": "string", "description": "业务响应码: the business code", **code},
        "msg": {"type": "string", "description": "消息说明: the code's message"},
        "charge": {"type": "integer", "const": charge, "description": "1 charged, 2 not"},
    }


def _extension() -> dict[str, Any]:
    point = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    corners = {"type": "array", "items": point, "minItems": 4, "maxItems": 4}
    confidence = {"type": "number", "minimum": 0, "maximum": 1}
    boxes = _object({}, _fields(corners)) | {"description": "Clockwise corners of each field's line, x and y in px"}
    verdict = {"enum": [each.value for each in Verdict], "description": "Whether a person should look at it"}
    return _object({"verdict": verdict, "confidence": _object(_fields(confidence))}, {"boxes": boxes})


def _fields(schema: dict[str, Any]) -> dict[str, Any]:
    return {WIRE_NAMES[name]: {**schema, "description": about} for name, about in _FIELDS.items()}


def _hex(digits: int, about: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^[0-9a-f]{{{digits}}}$", "description": about}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_GARBAGE = {
    "502": {
        "description": "The fault `garbage` html: a gateway's page",
        "content": {"text/html": {"schema": {"type": "string"}}},
    },
    "503": {
        "description": "The fault `garbage` gateway: no answer of this API",
        "content": {"application/json": {"schema": {"type": "object", "required": ["message"]}}},
    },
}
