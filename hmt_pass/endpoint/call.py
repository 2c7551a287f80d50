"""One call, from its parameters to its answer.

In this order: the parameters, the account and its signature, what it may still do, the image, the permit in it.
What the API text leaves open is decided in `conventions`.
"""

import asyncio
import logging
import traceback

from hmt_pass import image
from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.accounts import Account, Accounts
from hmt_pass.endpoint.admission import Admission
from hmt_pass.endpoint.answers import Answer, RefusedError
from hmt_pass.endpoint.conventions import Conventions, NoPermit
from hmt_pass.endpoint.download import Downloads
from hmt_pass.endpoint.encodings import base64_image
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import ImageRejectedError
from hmt_pass.permit import Flag

log = logging.getLogger(__name__)


class Caller:
    """Answers calls."""

    def __init__(
        self,
        accounts: Accounts,
        engine: Admission,
        images: ImageStore,
        downloads: Downloads,
        conventions: Conventions,
    ) -> None:
        self._accounts, self.engine = accounts, engine
        self._images, self._downloads, self._conventions = images, downloads, conventions

    async def close(self) -> None:
        """Let go of threads, connections and files; work that has not begun is dropped."""
        self.engine.close()
        self._accounts.close()
        await self._downloads.close()

    async def answer(self, parameters: Parameters) -> Answer:
        """The answer to a call, whatever happens: a fault of our own is 9999, logged without any data."""
        try:
            return await self._answer(parameters)
        except RefusedError as refusal:
            return answers.refused(refusal)
        except Exception as error:  # noqa: BLE001  a bug must not leave the caller without an answer
            log.error("call failed: %s", _where(error))  # noqa: TRY400  a traceback's message could hold data
            return answers.refused(RefusedError(Code.SERVER_ERROR))

    async def _answer(self, parameters: Parameters) -> Answer:
        flag, source, extension = parameters.flag, parameters.require_source(), parameters.extension
        account = self._accounts.authenticate(parameters, self._conventions.timestamp_window_s)
        async with self._accounts.booking(account) as booking:
            picture = await self._picture(parameters, source, account)
            reading = await self._read(picture, flag, source)
            image_id = parameters.get("image_id") if source == "image_id" else self._images.put(account.api_id, picture)
            answer = answers.recognized(reading, image_id, self._conventions.shape, extension)
            booking.charge()
        return answer

    async def _picture(self, parameters: Parameters, source: str, account: Account) -> bytes:
        if source == "image_id":
            return _known(self._images.get(account.api_id, parameters.get("image_id")))
        if source == "file":
            return parameters.file or b""
        if source == "image_base64":
            return await asyncio.to_thread(base64_image.decode, parameters.get("image_base64"))
        return await self._downloads.fetch(parameters.get("url"), account.api_id)

    async def _read(self, picture: bytes, flag: Flag, source: str) -> Reading | None:
        """The permit of the kind asked for; None only where the conventions answer that with empty fields."""
        try:
            await asyncio.to_thread(image.check, picture)
            reading = await self.engine.read(picture)
        except ImageRejectedError as rejected:
            raise RefusedError(rejected.code, rejected.reason, source) from None
        wanted = Kind.TAIWAN if flag is Flag.TAIWAN else Kind.HK_MACAU
        if reading is None or reading.kind is not wanted:
            if self._conventions.no_permit is NoPermit.EMPTY:
                return None
            raise RefusedError(Code.BAD_IMAGE_SIZE_OR_FORMAT, f"no permit of hmt_flag {flag:d} found", source)
        if self._conventions.strict_face and not reading.has_portrait:
            raise RefusedError(Code.NO_FACE, "the card's portrait is missing", source)
        return reading


def _known(picture: bytes | None) -> bytes:
    if picture is None:
        raise RefusedError(Code.IMAGE_MISSING, image="image_id")
    return picture


def _where(error: Exception) -> str:
    """The error's type and its last line of code, without its message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.name}:{last.lineno}"
