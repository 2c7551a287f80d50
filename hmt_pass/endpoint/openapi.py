"""The OpenAPI description of the API, in the conventions that the endpoint was started with."""

from typing import Any

from hmt_pass.endpoint.conventions import Conventions


def document(conventions: Conventions) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    del conventions
    return {"openapi": "3.1.0", "info": {"title": "hmt_pass", "version": "2"}, "paths": {}}
