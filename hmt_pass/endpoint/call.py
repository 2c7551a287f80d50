"""One call, from its parameters to its answer.

What the API text leaves open is decided here (assumptions):
- Parameters are looked at before the account, the account before the signature, the signature before the image.
- A picture without a permit, or with one of the other kind than `hmt_flag` asks for, is answered 1016: the text has no
  code for it, the uploader must send another picture, and nobody pays for nothing. Hong Kong and Macau are one
  document, so hmt_flag 0, 1 and 2 find the same cards.
- A permit of which some fields cannot be read is answered 0000 with those fields empty.
"""

import asyncio
import base64
import binascii
import logging
import os
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from hmt_pass import image
from hmt_pass.codes import Code
from hmt_pass.endpoint import answers
from hmt_pass.endpoint.accounts import Account
from hmt_pass.endpoint.answers import Answer, RefusedError
from hmt_pass.endpoint.download import TIME_LIMIT_S, download
from hmt_pass.endpoint.engine.card import Kind
from hmt_pass.endpoint.engine.reading import Reading
from hmt_pass.endpoint.images import ImageStore
from hmt_pass.endpoint.parameters import Parameters
from hmt_pass.errors import ImageRejectedError
from hmt_pass.permit import Flag, Permit

log = logging.getLogger(__name__)

_DOWNLOADS = 16

Result = TypeVar("Result")


class ReadsPermits(Protocol):
    """The engine, as the protocol knows it."""

    def read(self, picture: bytes) -> Reading | None:
        """The permit in a JPEG, PNG or BMP; None when there is none."""


class Caller:
    """Answers calls. The engine runs in as many threads as there are cores, so the event loop is never blocked."""

    def __init__(self, account: Account, reader: ReadsPermits, images: ImageStore) -> None:
        self._account, self._reader, self._images = account, reader, images
        self._engine = ThreadPoolExecutor(os.cpu_count(), "reader")
        self._downloads = ThreadPoolExecutor(_DOWNLOADS, "download")

    def close(self) -> None:
        """Let go of the threads; work that has not begun is dropped."""
        for pool in (self._engine, self._downloads):
            pool.shutdown(wait=False, cancel_futures=True)

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
        flag, source = parameters.flag, parameters.require_source()
        self._account.authenticate(parameters)
        picture = await self._picture(parameters, source)
        permit = await self._run(self._engine, lambda: self._read(picture, flag, source))
        image_id = parameters.get("image_id") or self._images.put(picture)
        return answers.recognized(permit, image_id)

    async def _picture(self, parameters: Parameters, source: str) -> bytes:
        if source == "image_id":
            return _known(self._images.get(parameters.get("image_id")))
        if source == "file":
            return parameters.file or b""
        if source == "image_base64":
            return _decode(parameters.get("image_base64"))
        try:
            fetched = self._run(self._downloads, lambda: download(parameters.get("url")))
            return await asyncio.wait_for(fetched, TIME_LIMIT_S)
        except TimeoutError:
            raise RefusedError(Code.DOWNLOAD_TIMEOUT) from None

    def _read(self, picture: bytes, flag: Flag, source: str) -> Permit:
        try:
            image.check(picture)
        except ImageRejectedError as rejected:
            raise RefusedError(rejected.code, rejected.reason, source) from None
        reading = self._reader.read(picture)
        wanted = Kind.TAIWAN if flag is Flag.TAIWAN else Kind.HK_MACAU
        if reading is None or reading.kind is not wanted:
            raise RefusedError(Code.BAD_IMAGE_SIZE_OR_FORMAT, f"no permit of hmt_flag {flag:d} found", source)
        return reading.permit

    @staticmethod
    async def _run(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


def _known(picture: bytes | None) -> bytes:
    if picture is None:
        raise RefusedError(Code.IMAGE_MISSING, image="image_id")
    return picture


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(Code.NOT_AN_IMAGE, "image_base64 is not base64", "image_base64") from None


def _where(error: Exception) -> str:
    """The error's type and its last line of code, without its message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {last.name}:{last.lineno}"
