"""What the endpoint says: the JSON object of an answer, and the refusal that becomes one."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from hmt_pass import codes
from hmt_pass.codes import Code
from hmt_pass.endpoint.conventions import Shape
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.extension import Extension, describe
from hmt_pass.permit import Permit

CHARGED, NOT_CHARGED = 1, 2
"""Values of `charge` (API text, section 3)."""

_FOUND = 1
"""The only value of `words_result_num` that goes with 0000; what the text says of it belongs to another API."""


class RefusedError(Exception):
    """Ends a call with a business code other than 0000.

    `reason` is a sentence for the developer, `image` the parameter that brought the image. It never leaves the
    endpoint: `refused` makes the answer of it.
    """

    def __init__(self, code: Code, reason: str = "", image: str = "") -> None:
        super().__init__(code, reason, image)
        self.code, self.reason, self.image = code, reason, image


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its business code (wire value) and the JSON object of its body."""

    code: str
    body: dict[str, Any] = field(repr=False)

    @property
    def charged(self) -> bool:
        """Whether this answer costs money: 0000 with charge 1."""
        return bool(self.body["charge"] == CHARGED)


def _body(code: str, message: str, charge: int) -> dict[str, Any]:
    return {"request_id": f"TID{uuid.uuid4().hex}", "code": code, "msg": message, "charge": charge}


def recognized(reading: Reading | None, image_id: str, shape: Shape, extension: Extension | None = None) -> Answer:
    """The answer 0000 with the seven fields in `shape`; with empty ones for no reading.

    `extension` adds what the paid service does not say, beside the fields.
    """
    permit = reading.permit if reading else Permit()
    fields: dict[str, Any] = {"image_id": image_id, **permit.to_wire()}
    data = fields if shape is Shape.FLAT else {"words_result_num": _FOUND, "words_result": fields}
    if extension:
        data["extension"] = describe(reading, extension)
    return Answer(Code.OK.value, _body(Code.OK.value, Code.OK.message, CHARGED) | {"data": data})


def refused(error: RefusedError) -> Answer:
    """The answer to a refused call; `reason` and `image` are there only when the refusal names them."""
    body = _body(error.code.value, error.code.message, NOT_CHARGED)
    details = {"reason": error.reason, "image": error.image}
    return Answer(error.code.value, body | {key: text for key, text in details.items() if text})


def forced(code: str, image: str) -> Answer:
    """The answer with a code that a fault forces; a code that the API text does not list gets a message of its own.

    It carries `reason` and `image` where the code's message points at them.
    """
    known = codes.Code.find(code)
    message = known.message if known else codes.meaning(code)
    body = _body(code, message, NOT_CHARGED)
    details = {"reason": "forced by /_faults", "image": image or "file"}
    return Answer(code, body | {key: text for key, text in details.items() if key in message})
