"""The switch for faults, in OpenAPI; served only with --faults."""

from typing import Any

from hmt_pass.codes import Code
from hmt_pass.endpoint.faults.garbage import Kind
from hmt_pass.endpoint.faults.order import AFTER, BEFORE, EFFECTS, MAX_COUNT, MAX_FOR_S, MAX_LATENCY_S

_WHEN = [BEFORE, AFTER]

_PROPERTIES: dict[str, dict[str, Any]] = {
    "code": {
        "type": "string",
        "pattern": "^[0-9]{4}$",
        "not": {"const": Code.OK.value},
        "description": "The business code that is answered, uncharged; the API text need not list it",
    },
    "latency_s": {
        "type": "number",
        "minimum": 0,
        "maximum": MAX_LATENCY_S,
        "description": "How much later, in seconds",
    },
    "hang": {
        "enum": _WHEN,
        "description": "No answer before or after charging, until the caller hangs up, DELETE, or an hour",
    },
    "drop": {"enum": _WHEN, "description": "The connection ends without an answer, before or after charging"},
    "garbage": {"enum": [kind.value for kind in Kind], "description": "What is sent in the place of the answer"},
    "count": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_COUNT,
        "description": "How many calls are hit; all when left out",
    },
    "share": {"type": "number", "minimum": 0, "maximum": 1, "description": "The chance of each call; 1 when left out"},
    "for_s": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MAX_FOR_S,
        "description": "For how many seconds; for ever when left out",
    },
}

_ORDER = {
    "type": "object",
    "properties": _PROPERTIES,
    "additionalProperties": False,
    "anyOf": [{"required": [name]} for name in EFFECTS],
}

_COUNTERS = {
    "calls": "Calls that have come in",
    "charged": "Calls that were answered 0000, on the wire or not",
    "struck": "Calls that were hit by a fault",
    "hanging": "Calls that hang now",
}

_STANDING = {
    "type": "object",
    "required": ["value", "count", "share", "for_s"],
    "properties": {
        "value": {"type": ["string", "number"]},
        "count": {"type": ["integer", "null"], "description": "Calls that it still hits; null for all"},
        "share": {"type": "number"},
        "for_s": {"type": ["number", "null"], "description": "Seconds that are left; null for ever"},
    },
    "additionalProperties": False,
}

_STATE = {
    "type": "object",
    "required": ["faults", *_COUNTERS],
    "properties": {
        "faults": {"type": "object", "propertyNames": {"enum": list(EFFECTS)}, "additionalProperties": _STANDING},
        **{name: {"type": "integer", "minimum": 0, "description": about} for name, about in _COUNTERS.items()},
    },
    "additionalProperties": False,
}

_SHOWN = {
    "200": {"description": "What is set, and the counters", "content": {"application/json": {"schema": _STATE}}},
}

_REFUSED = {
    "400": {
        "description": "The body is no fault: a line for every problem",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}

_EXAMPLES = {
    "one code": {"summary": "The next answer is 9980", "value": {"code": "9980", "count": 1}},
    "a bad minute": {
        "summary": "A tenth of the calls for a minute",
        "value": {"code": "9999", "share": 0.1, "for_s": 60},
    },
    "lost after payment": {"summary": "Charged, and dropped", "value": {"drop": AFTER, "count": 1}},
}

PATHS: dict[str, Any] = {
    "/_faults": {
        "get": {
            "operationId": "faults",
            "tags": ["operation"],
            "summary": "What is set, and the counters",
            "responses": _SHOWN,
        },
        "post": {
            "operationId": "setFaults",
            "tags": ["operation"],
            "summary": "Set faults in the place of those of the same names; those of one body hit the same calls",
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _ORDER, "examples": _EXAMPLES}},
            },
            "responses": {**_SHOWN, **_REFUSED},
        },
        "delete": {
            "operationId": "clearFaults",
            "tags": ["operation"],
            "summary": "Clear all faults; hung calls go on, and the counters stay",
            "responses": _SHOWN,
        },
    }
}
