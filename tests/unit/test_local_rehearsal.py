import io
import json
import time
from pathlib import Path
from typing import cast

import pytest
from PIL import Image
from rich.console import Console

from hmt_pass.endpoint.engine.reading import Verdict
from hmt_pass.endpoint.specimen.inventor import Inventor, permit_for
from hmt_pass.permit import Flag
from local import __main__, pictures
from local.process import Process, ProcessError
from local.timeline import Figures, Timeline

METRICS = """\
hmt_pass_store_up{store="redis"} 1.0
hmt_pass_store_up{store="broker"} 1.0
# TYPE hmt_pass_queue_jobs gauge
hmt_pass_queue_jobs{lane="interactive"} 12.0
hmt_pass_queue_jobs{lane="bulk"} 14.0
hmt_pass_calls_in_flight 3.0
hmt_pass_jobs_ended_total{end="recognized"} 40.0
hmt_pass_jobs_ended_total{end="dead"} 2.0
hmt_pass_dead_letters{code="1001",reason="a parameter is not UTF-8"} 1.0
hmt_pass_dead_letters{code="9980",reason="the account has no money left"} 1.0
hmt_pass_hold_active{code="9980",kind="code"} 1.0
"""


def test_the_figures_are_those_of_all_lanes_and_reasons() -> None:
    assert Figures(26, 3, 40, 2, on_hold=True) == Figures.from_metrics(METRICS)


def test_before_anything_has_happened_all_figures_are_zero() -> None:
    assert Figures() == Figures.from_metrics('hmt_pass_queue_jobs{lane="bulk"} 0.0\n')


def test_what_a_store_does_not_say_is_not_taken_for_zero() -> None:
    assert Figures.from_metrics(METRICS.replace('"broker"} 1.0', '"broker"} 0.0')) is None


class Fleet:
    """One worker's log, and what the exporter says in turn."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "worker-1.log"
        self.log.write_text(" -------------- celery@vm v5\n")
        self.ended = False
        self.scrapes: list[Figures | None] = []
        self.console = Console(file=io.StringIO(), width=40)
        self.timeline = Timeline(self.console, "http://127.0.0.1:1", [cast(Process, self)])

    def check_running(self) -> None:
        if self.ended:
            raise ProcessError("worker-1", "ended with code 1", self.log)

    def logs(self, text: str) -> None:
        with self.log.open("a") as growing:
            growing.write(text)

    def watched(self) -> str:
        """All that was printed by the time that the first figures came."""
        self.timeline.watch(lambda _: True, 1)
        printed: str = self.console.file.getvalue()  # type: ignore[attr-defined]
        return printed


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet(tmp_path)
    monkeypatch.setattr("local.timeline.LOOK_EVERY_S", 0.001)
    monkeypatch.setattr(made.timeline, "_figures", lambda: made.scrapes.pop(0) if made.scrapes else Figures())
    return made


def line(event: str, **values: object) -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return json.dumps({"event": event, "timestamp": moment, **values}) + "\n"


def test_what_a_worker_says_of_the_hold_is_told_once_and_whole(fleet: Fleet) -> None:
    noticed = line("hold.noticed", reason="[brackets] stay")
    fleet.logs(line("job.finished", state="recognized"))
    fleet.logs(line("hold.canary_came_back", outcome="still ill", code="9980", error=None) + noticed[:20])
    printed = fleet.watched()

    assert "worker-1 has its canary back: still ill 9980\n" in printed
    assert "recognized  " in printed  # the figures
    assert "stops consuming" not in printed

    fleet.logs(noticed[20:])
    printed = fleet.watched()
    assert (1, 1) == (printed.count("has its canary back"), printed.count("worker-1 stops consuming\n"))


def test_while_no_figures_come_nothing_is_taken_to_have_happened(fleet: Fleet) -> None:
    fleet.scrapes = [Figures(on_hold=True), None, None, Figures(waiting=7)]

    assert Figures(waiting=7) == fleet.timeline.watch(lambda now: not now.on_hold, 1)
    assert [] == fleet.scrapes


def test_a_process_that_ends_ends_the_rehearsal(fleet: Fleet) -> None:
    fleet.ended = True

    with pytest.raises(ProcessError, match="worker-1 ended with code 1"):
        fleet.watched()


def test_numbered_cards_differ_and_their_truth_is_what_an_inventing_endpoint_answers() -> None:
    first, second = pictures.numbered(2)

    assert first.image != second.image
    assert first.truth != second.truth
    assert Flag.HK_AND_MACAU is first.flag
    assert (pictures.WIDTH_PX, "JPEG") == ((opened := Image.open(io.BytesIO(first.image))).width, opened.format)
    assert first.truth == Inventor().read(first.image).permit


def test_an_invented_permit_is_complete_and_always_the_same() -> None:
    reading = Inventor().read(b"any bytes")

    assert permit_for(b"any bytes") == reading.permit
    assert all(reading.permit.to_wire().values())
    assert (Verdict.ACCEPT, 7) == (reading.verdict, len(reading.confidence))


@pytest.mark.parametrize("options", [["--jobs", "499"], ["--jobs", "many"], ["--outage-s", "11"], ["--outage-s", "-1"]])
def test_a_rehearsal_too_small_to_show_anything_is_refused(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        __main__.main(["rehearse", *options])

    assert "is not a whole number" in capsys.readouterr().err
