"""The OpenAPI description of the API, in the conventions that the endpoint was started with.

What a call takes lies in `call`, what it is answered in `answers`, the switch for faults in `faults`.
"""

from typing import Any

from hmt_pass.client import PATH
from hmt_pass.endpoint.conventions import Conventions
from hmt_pass.endpoint.openapi import answers, call, faults

_ABOUT = """\
Reads the seven fields of a mainland resident's travel permit to Hong Kong and Macau (往来港澳通行证) or to Taiwan \
(往来台湾通行证).

A call is answered with a business code in `code`, whatever the HTTP status; `0000` alone is charged (`charge` 1). \
Every other path, and every other method on this one, is answered with code 1012.\
"""


def document(conventions: Conventions, *, with_faults: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document; the switch for faults is in it only `with_faults`."""
    paths = {PATH: {"post": _call(conventions, with_faults)}, "/healthz": _HEALTH, "/openapi.json": _DESCRIPTION}
    return {
        "openapi": "3.1.0",
        "info": {"title": "hmt_pass", "version": "2", "summary": "OCR of travel permits", "description": _ABOUT},
        "tags": [{"name": "recognition"}, {"name": "operation"}],
        "paths": paths | (faults.PATHS if with_faults else {}),
        "components": {"schemas": answers.schemas(conventions, with_faults)},
    }


def _call(conventions: Conventions, with_faults: bool) -> dict[str, Any]:
    return {
        "operationId": "recognize",
        "tags": ["recognition"],
        "summary": "Read the permit in one image",
        "description": call.DESCRIPTION,
        "parameters": call.query_parameters(),
        "requestBody": call.request_body(),
        "responses": answers.responses(conventions, with_faults),
    }


_HEALTH = {
    "get": {
        "operationId": "healthz",
        "tags": ["operation"],
        "summary": "Whether the endpoint can answer: its models are loaded",
        "responses": {
            "200": {"description": "It can", "content": {"text/plain": {"schema": {"type": "string", "const": "ok\n"}}}}
        },
    }
}

_DESCRIPTION = {
    "get": {
        "operationId": "openapi",
        "tags": ["operation"],
        "summary": "This description",
        "responses": {
            "200": {
                "description": "An OpenAPI 3.1 document",
                "content": {
                    "application/json": {
                        "schema": {"type": "object", "required": ["openapi", "info", "paths", "components"]}
                    }
                },
            }
        },
    }
}
