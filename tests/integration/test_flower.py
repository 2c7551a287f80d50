"""What an operator sees in Flower that has not heard from any worker."""

import re
from pathlib import Path

from hmt_pass.job import DEAD_LETTER_QUEUE, Lane
from hmt_pass.store import connect
from local.redis import RedisServer
from local.services import Flower
from local.stage import answer_of


def test_the_broker_page_shows_how_many_dead_letters_there_are(redis: RedisServer, tmp_path: Path) -> None:
    with connect(redis.url) as store:
        store.lpush(DEAD_LETTER_QUEUE, "one", "two", "three")
        store.lpush(Lane.BULK.queue, "one")
    with Flower(tmp_path / "flower.log", {"REDIS_URL": redis.url}) as flower:
        page = answer_of("GET", f"{flower.url}/broker").text

    assert {"hmt_pass": 0, "hmt_pass.bulk": 1, "hmt_pass.dead_letter": 3} == depths(page)


def depths(page: str) -> dict[str, int]:
    """Queue and messages of each row."""
    return {name: int(count) for name, count in re.findall(r"<td>(hmt_pass[\w.]*)</td>\s*<td[^>]*>(\d+)</td>", page)}
