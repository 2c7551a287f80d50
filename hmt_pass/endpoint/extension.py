"""What this endpoint says beyond the paid service, to a caller that asks for it by the parameter `extension`.

`verdict` adds `data.extension` with a verdict and a confidence for each field; `boxes` adds where each was read, too.
A call without the parameter is answered exactly as the API text says.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from hmt_pass.endpoint.engine.reading import Reading, Verdict
from hmt_pass.permit import WIRE_NAMES

PARAMETER = "extension"


class Extension(StrEnum):
    """The values of the parameter; the second says more than the first."""

    VERDICT = "verdict"
    BOXES = "boxes"


def describe(reading: Reading | None, extension: Extension) -> dict[str, Any]:
    """The object `data.extension`. Confidences go from 0 (empty field) to 1; boxes are four corners in pixels."""
    verdict = reading.verdict if reading else Verdict.REVIEW
    confidence = reading.confidence if reading else {}
    said: dict[str, Any] = {
        "verdict": verdict.value,
        "confidence": {wire: round(confidence.get(name, 0.0), 4) for name, wire in _by_wire_name()},
    }
    if extension is Extension.BOXES:
        said["boxes"] = _boxes(reading.boxes if reading else {})
    return said


def _boxes(boxes: Mapping[str, tuple[tuple[float, float], ...]]) -> dict[str, list[list[float]]]:
    return {
        wire: [[round(float(x), 1), round(float(y), 1)] for x, y in boxes[name]]
        for name, wire in _by_wire_name()
        if name in boxes
    }


def _by_wire_name() -> list[tuple[str, str]]:
    return sorted(WIRE_NAMES.items(), key=lambda item: item[1])
