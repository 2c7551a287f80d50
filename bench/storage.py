"""boto3 against obstore for the two S3 operations of a job, on the caller's side."""

import os
import time
from collections.abc import Callable

import boto3
from obstore.store import S3Store

from bench.rig import photo, rig
from local.s3 import BUCKET, KEY, REGION, S3Server

ROUNDS = 300
AWKWARD_KEYS = (
    "/leading",
    "double//slash",
    "trailing/",
    "a/../b",
    "a/./b",
    "tab\tin it",
    "往来/照片 1.jpg",
    "a%2Fb",
    "a+b",
)


def run() -> None:
    """Print CPU per operation and the keys that obstore cannot read."""
    with rig() as ground:
        os.environ.update(ground.s3.client_environment)
        body = photo()
        client = boto3.client("s3")
        other = _obstore(ground.s3)
        client.put_object(Bucket=BUCKET, Key="photo", Body=body)
        operations: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            f"get, {len(body) // 1000} KB": (
                lambda: client.get_object(Bucket=BUCKET, Key="photo")["Body"].read(),  # noqa: PLW0108  each round asks anew
                lambda: other.get("photo").bytes(),
            ),
            "put, 2 KB": (
                lambda: client.put_object(Bucket=BUCKET, Key="out", Body=b"x" * 2000),
                lambda: other.put("out", b"x" * 2000),
            ),
        }
        print(f"{'operation':<14}{'boto3':>10}{'obstore':>10}   CPU ms, {ROUNDS} rounds")
        for name, (ours, theirs) in operations.items():
            print(f"{name:<14}{_cpu_ms(ours):>10.2f}{_cpu_ms(theirs):>10.2f}")
        print("\nkeys that S3 allows and obstore does not read as they are:")
        print(", ".join(repr(key) for key in AWKWARD_KEYS if not _reads(client, other, key)))


def _obstore(server: S3Server) -> S3Store:
    return S3Store(
        BUCKET,
        endpoint=server.url,
        region=REGION,
        access_key_id=KEY,
        secret_access_key=KEY,
        client_options={"allow_http": True},
    )


def _cpu_ms(operation: Callable[[], object]) -> float:
    operation()
    start = time.process_time()
    for _ in range(ROUNDS):
        operation()
    return (time.process_time() - start) / ROUNDS * 1000


def _reads(client: "boto3.client", other: S3Store, key: str) -> bool:
    client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    try:
        return bytes(other.get(key).bytes()) == key.encode()
    except (ValueError, FileNotFoundError):
        return False
