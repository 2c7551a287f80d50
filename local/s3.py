"""An embedded S3: moto's server on loopback.

It forgets everything when it stops, and it accepts any key, any secret and an expired URL. Right for a laptop and for
tests, where a photo is invented and a bucket lives for minutes; no place for a real one.
"""

import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.process import Process, free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "hmt-pass-demo"
REGION = "us-east-1"
KEY = "local"  # stands for key and secret; the server checks neither


class S3Server(Process):
    """One server on one port, at every start empty but for the bucket: `with S3Server(log) as server`."""

    def __init__(self, log: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        super().__init__("s3", [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)], log)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def client_environment(self) -> dict[str, str]:
        """The AWS SDK's own variables for this server."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,  # the name that boto3 reads
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @cached_property
    def client(self) -> "S3Client":
        """A boto3 client for this server, whatever the environment says."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=KEY,
            aws_secret_access_key=KEY,
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def ready(self) -> bool:
        """Whether it could create the bucket."""
        try:
            self.client.create_bucket(Bucket=BUCKET)
        except (BotoCoreError, ClientError):
            return False
        return True
