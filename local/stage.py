"""What the acts of demo and rehearsal work with: the running stack, its producer, and a few questions to ask of it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hmt_pass.producer import JobOptions, Producer
from hmt_pass.status import State, Status
from local.cards import Card
from local.checks import Checks
from local.process import clean_environment
from local.s3 import BUCKET
from local.services import CHECKOUT
from local.stack import Stack

COMMAND_TIMEOUT_S = 30
QUESTION_TIMEOUT_S = 5.0
LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Sent:
    """A card that was uploaded and enqueued."""

    card: Card
    job_id: str


@dataclass(slots=True)
class Stage:
    """One demo or rehearsal: everything that was sent so far, and everything that was expected of it."""

    stack: Stack
    producer: Producer
    console: Console
    checks: Checks
    sent: list[Sent] = field(default_factory=list)

    def upload(self, card: Card) -> tuple[str, JobOptions]:
        """Put a card into S3; returns what an upload handler would hand to the producer."""
        key = f"uploads/{card.name}"
        answer = self.stack.s3.client.put_object(Bucket=BUCKET, Key=key, Body=card.image)
        return f"s3://{BUCKET}/{key}", {"flag": card.flag, "etag": answer["ETag"]}

    def send(self, cards: Iterable[Card]) -> list[Sent]:
        """Upload and enqueue cards; returns them with their job ids."""
        cards = list(cards)
        job_ids = self.producer.enqueue_many([self.upload(card) for card in cards])
        sent = [Sent(card, job_id) for card, job_id in zip(cards, job_ids, strict=True)]
        self.sent += sent
        return sent

    def states(self, sent: Iterable[Sent]) -> list[State]:
        """Where the jobs stand."""
        return [self.producer.status(one.job_id).state for one in sent]

    def wait(self, sent: list[Sent], timeout_s: float) -> list[Status]:
        """Show progress until every job is final or the time is up; returns where they stand then."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console) as progress:
            bar = progress.add_task("jobs done", total=len(sent))

            def all_final() -> bool:
                done = sum(state.final for state in self.states(sent))
                progress.update(bar, completed=done)
                return done == len(sent)

            until(all_final, timeout_s)
        return [self.producer.status(one.job_id) for one in sent]

    def command(self, *words: str) -> Any:  # noqa: ANN401  JSON, an object or a list as the command has it
        """Run `python -m worker WORDS --json` as an operator would; returns what it printed, None when it failed."""
        printed = self.printed_by(*words, "--json")
        return json.loads(printed) if printed is not None else None

    def printed_by(self, *words: str) -> str | None:
        """Run `python -m worker WORDS`; returns what it printed, None when it failed or took over 30 s."""
        shown = " ".join(word for word in words if word != "--json")
        self.console.print(f"  [dim]$ python -m worker {shown}[/]", highlight=False)
        try:
            answer = subprocess.run(
                [sys.executable, "-m", "worker", *words],
                env={**clean_environment(), **self.stack.environment},
                cwd=CHECKOUT,
                capture_output=True,
                text=True,
                check=True,
                timeout=COMMAND_TIMEOUT_S,
            )
        except subprocess.CalledProcessError as error:
            self.console.print(error.stderr, markup=False, highlight=False)
            return None
        except subprocess.TimeoutExpired:
            self.console.print(f"  it is not done after {COMMAND_TIMEOUT_S} s")
            return None
        return answer.stdout

    def fault(self, **effects: object) -> None:
        """Have the endpoint fail: the effects and limits of `POST /_faults` (docs/endpoint.md)."""
        self._endpoint("POST", effects)

    def counters(self) -> Mapping[str, int]:
        """How many `calls` the endpoint had and how many it `charged`."""
        return self._endpoint("GET")

    def _endpoint(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return http(method, f"{self.stack.endpoint.url}/_faults", body)


def http(method: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON object of an answer of a server on loopback. Raises requests.RequestException."""
    found: dict[str, Any] = answer_of(method, url, body).json()
    return found


def answer_of(method: str, url: str, body: Mapping[str, Any] | None = None) -> requests.Response:
    """The answer of a server on loopback, past any proxy. Raises requests.RequestException when it is no success."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, url, json=body, timeout=QUESTION_TIMEOUT_S)
        answer.raise_for_status()
        return answer


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition came true within the time."""
    deadline = time.monotonic() + timeout_s
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
    return met
