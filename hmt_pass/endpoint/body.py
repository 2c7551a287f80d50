"""The body of a call, under bounds: one call's size and time, and the memory of all that are on their way."""

from starlette.requests import Request

from hmt_pass.codes import Code
from hmt_pass.endpoint.answers import RefusedError
from hmt_pass.endpoint.parameters import MAX_BODY_BYTES


class Bodies:
    """Receives the bodies of all calls."""

    async def receive(self, request: Request) -> bytes:
        """The body. Raises RefusedError 1013 for one larger than any allowed call, ClientDisconnect."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise RefusedError(Code.IMAGE_TOO_LARGE, image="file")
        return bytes(body)
