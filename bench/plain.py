"""The worker that one writes first: stock settings, prefork, boto3 and requests. It keeps no promise; a yardstick."""

import json
import os

import boto3
import redis
import requests
from celery import Celery

app = Celery("plain", broker=os.environ.get("REDIS_URL"))
store = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://"))


@app.task(name="plain.recognize")
def recognize(bucket: str, key: str) -> None:
    """Read one photo."""
    client = boto3.client("s3")
    body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    url = os.environ["HMT_PASS_ENDPOINT_URL"] + "/v2/ocr/hmt_pass"
    reply = requests.post(url, data={"api_id": "bench"}, files={"file": body}, timeout=30).json()
    client.put_object(Bucket=bucket, Key=f"plain/{key}.json", Body=json.dumps(reply).encode())
    store.incr("plain:done")
