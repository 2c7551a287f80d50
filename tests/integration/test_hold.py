from system import System

from hmt_pass.status import State
from worker.hold import Hold


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

    assert {"released": True} == system.command("hold", "release")
    assert {State.RECOGNIZED} == set(system.wait(*others))
    assert {"redriven": [trigger]} == system.command("dead-letters", "redrive", "--code", "9980")
    assert [State.RECOGNIZED] == system.wait(trigger)
    assert [] == system.command("dead-letters", "list")
    assert 11 == system.books.charges
    assert ["9980", "0000"] == [attempt["code"] for attempt in system.stored(trigger)["attempts"]]


def test_jobs_already_taken_go_back_unharmed(system: System) -> None:
    system.books.latency_s = 2.0
    system.worker(concurrency=2)
    job_ids = [system.producer.enqueue(system.upload(f"{n}.png", n)) for n in range(8)]
    system.until(lambda: len(system.books.lines) == 2)

    Hold(system.store).open("a test of the brakes", by="test")  # within the call; a command takes a second to start
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
