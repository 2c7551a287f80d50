import time

from system import System

from hmt_pass import keys
from hmt_pass.status import State
from worker.hold import Hold
from worker.limits import Limits


def test_an_empty_account_costs_one_job_and_the_rest_waits(system: System) -> None:
    system.books.script.append("9980")
    system.worker(concurrency=1)
    trigger = system.producer.enqueue(system.upload("trigger.png", 1))
    assert [State.DEAD] == system.wait(trigger)
    others = [system.producer.enqueue(system.upload(f"{n}.png", 10 + n)) for n in range(10)]

    late = system.worker(concurrency=4)  # a worker that starts during the hold respects it
    system.until(lambda: "hold.noticed" in late.log.read_text())

    assert {State.HELD} == {system.producer.status(job_id).state for job_id in others}
    assert 1 == len(system.books.lines)
    assert ("9980", trigger) == (system.command("hold", "status")["code"], system.command("hold", "status")["job_id"])

    answer = system.command("hold", "release", "--redrive")
    assert {"released": True, "redriven": 1, "dead_of_it": []} == answer
    assert {State.RECOGNIZED} == set(system.wait(*others))
    assert [State.RECOGNIZED] == system.wait(trigger)
    assert [] == system.command("dead-letters", "list")
    assert 11 == system.books.charges
    assert ["9980", "0000"] == [attempt["code"] for attempt in system.stored(trigger)["attempts"]]


def test_jobs_already_taken_go_back_unharmed(system: System) -> None:
    system.books.latency_s = 2.0
    system.worker(concurrency=2)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(8)]
    system.until(lambda: len(system.books.lines) == 2)

    Hold(system.store, Limits(), "test").open("a test of the brakes", by="test")  # a command takes a second to start
    system.until(lambda: [system.producer.status(job_id).state for job_id in job_ids].count(State.RECOGNIZED) == 2)
    system.until(lambda: [system.producer.status(job_id).state for job_id in job_ids].count(State.HELD) == 6)
    assert 2 == len(system.books.lines)

    system.command("hold", "release")
    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert 8 == system.books.charges
    assert {1} == {system.producer.status(job_id).attempts for job_id in job_ids}


def test_the_hold_outlives_every_worker(system: System) -> None:
    system.command("hold", "set", "--reason", "paid by invoice")
    job_id = system.producer.enqueue(system.upload("one.png"))

    for _ in range(2):
        worker = system.worker()
        system.until(lambda log=worker.log: "hold.noticed" in log.read_text())
        worker.stop()

    assert State.HELD is system.producer.status(job_id).state
    assert [] == system.books.lines


def test_the_hold_and_its_release_survive_a_lost_connection(system: System) -> None:
    worker = system.worker()
    system.command("hold", "set", "--reason", "a test of the brakes")
    job_id = system.producer.enqueue(system.upload("one.png"))
    system.until(lambda: "hold.noticed" in worker.log.read_text())

    system.broker.break_connections()
    system.until(lambda: worker.log.read_text().count("hold.noticed") == 2)
    assert [] == system.books.lines

    system.command("hold", "release")
    assert [State.RECOGNIZED] == system.wait(job_id)


def test_a_hold_heals_by_one_canary_once_the_account_is_well(system: System) -> None:
    system.books.script.extend(["9980", "9980"])
    for _ in range(2):
        system.worker(concurrency=4, canary_after_s="1,2")
    trigger = system.producer.enqueue(system.upload("trigger.png", 1))
    assert [State.DEAD] == system.wait(trigger)
    others = [system.producer.enqueue(system.upload(f"{n}.png", 10 + n)) for n in range(12)]

    system.until(lambda: len(system.books.lines) == 2)  # the first canary, which is refused
    time.sleep(1.0)
    assert 2 == len(system.books.lines)
    assert ("9980", 1) == tuple(system.command("hold", "status")[name] for name in ("answer", "tries"))

    assert {State.RECOGNIZED} == set(system.wait(*others))
    assert (0, 14, 12) == (system.store.exists(keys.HOLD), len(system.books.lines), system.books.charges)
    status = system.command("hold", "status")
    assert (False, [trigger]) == (status["on"], status["dead_of_it"])
    assert status["released_by"].startswith("canary ")
    assert {"redriven": 1} == system.command("hold", "redrive")
    assert [State.RECOGNIZED] == system.wait(trigger)


def test_a_spent_budget_holds_the_fleet_before_the_next_call(system: System) -> None:
    budget = {"price_per_call": "0.5", "budget_day": "1.5"}
    worker = system.worker(concurrency=1, **budget)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(6)]
    system.until(lambda: system.store.exists(keys.HOLD))

    assert 3 == system.books.charges
    assert "budget" == system.command("hold", "status")["kind"]
    assert 3 == [system.producer.status(job_id).state for job_id in job_ids].count(State.HELD)
    assert ("1.5", "1.5", 100.0) == tuple(
        system.command("ledger", "today", **budget)[name] for name in ("cost", "budget", "budget_used_percent")
    )

    worker.stop()
    system.worker(concurrency=1, price_per_call="0.5", budget_day="50")
    assert {State.RECOGNIZED} == set(system.wait(*job_ids))
    assert 6 == system.books.charges
