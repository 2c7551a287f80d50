"""What 64 threads can be made to need: a process of its own works on hostile photos, and its peak is read."""

import json
import subprocess
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from io import BytesIO

from endpoints import Answer
from PIL import Image
from sites import Serve

from local.process import clean_environment
from local.services import CHECKOUT

MANY = r"""
import json, pathlib, re, time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from hmt_pass.errors import HmtPassError
from hmt_pass.image import MAX_INPUT_BYTES
from hmt_pass.job import ImageRef
from worker import sending
from worker.allocator import give_back_large_blocks
from worker.settings import Send
from worker.storage import Storage

give_back_large_blocks()  # as worker.services does
sending.PATIENCE_S = 4.0
storage = Storage(5.0, 64)
sender = sending.Sender(Send.BASE64, storage)


def work(number):
    try:
        with storage.get(ImageRef("photos", f"{number}.jpg"), MAX_INPUT_BYTES) as photo:
            source = sender.source(photo)
            time.sleep(1.0)  # the call
            return "sent" if source else ""
    except HmtPassError as error:
        return error.reason


with ThreadPoolExecutor(64) as threads:
    ends = Counter(threads.map(work, range(64)))
peak_mb = int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) // 1024
print(json.dumps({"peak_mb": peak_mb, "ends": ends}))
"""


def png(mode: str, side_px: int) -> bytes:
    file = BytesIO()
    Image.new(mode, (side_px, side_px)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def fat_jpeg(size_bytes: int) -> bytes:
    """A small picture in a file that a repair has to take whole: all the rest is said to be its colour profile."""
    file = BytesIO()
    Image.new("RGB", (64, 48)).save(file, "JPEG")
    head = b"ICC_PROFILE\0" + bytes(2)
    segment = b"\xff\xe2" + (0xFFFF).to_bytes(2, "big") + head + bytes(0xFFFD - len(head))
    return file.getvalue()[:2] + segment * (size_bytes // len(segment)) + file.getvalue()[2:]


def bmp_of_5_mb() -> bytes:
    file = BytesIO()
    Image.new("RGB", (1300, 1340)).save(file, "BMP")
    return file.getvalue()


def s3_with(photos: list[bytes]) -> Answer:
    """An S3 whose objects are named by their place in the list."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        photo = photos[int(request.path.split("/")[-1].split(".")[0])]
        request.send_response(200)
        request.send_header("Content-Length", str(len(photo)))
        request.send_header("ETag", '"e"')
        request.end_headers()
        with suppress(OSError):  # it found no room
            request.wfile.write(photo)

    return answer


def test_64_threads_with_the_largest_photos_of_any_kind_need_no_more_than_1200_mb(web: Serve) -> None:
    slow, fat, plain = png("RGBA", 8000), fat_jpeg(41_000_000), bmp_of_5_mb()
    url = web(s3_with([slow] * 3 + [fat] * 51 + [plain] * 10))
    access = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL_S3": url.removesuffix("/photo")}
    run = subprocess.run(
        [sys.executable, "-c", MANY],
        cwd=CHECKOUT,
        env={**clean_environment(), **access},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    assert found["peak_mb"] < 1200
    assert found["ends"]["sent"] > 0
