import pytest

from hmt_pass.status import State, Status

FINISHED = {
    "state": "recognized",
    "image": "s3://photos/a.jpg",
    "hmt_flag": "3",
    "lane": "bulk",
    "attempts": "2",
    "code": "0000",
    "reason": "",
    "request_id": "TID-1",
    "result": "s3://photos/hmt-pass/a.json",
    "enqueued_at": "2026-11-22T10:00:00.000+00:00",
    "worker": "a-host:1",
}


@pytest.mark.parametrize("state", State)
def test_only_three_states_are_final(state: State) -> None:
    assert (state in {State.RECOGNIZED, State.REJECTED, State.DEAD}) is state.final


def test_a_job_that_nobody_registered_is_unknown_and_not_queued() -> None:
    assert Status("a", State.UNKNOWN) == Status.from_store("a", {}, on_hold=False)
    assert State.UNKNOWN is Status.from_store("a", {}, on_hold=True).state


@pytest.mark.parametrize("state", State)
def test_a_waiting_job_is_held_while_the_account_is_on_hold(state: State) -> None:
    expected = State.HELD if state in {State.QUEUED, State.RETRYING} else state
    assert expected is Status.from_store("a", {"state": state}, on_hold=True).state
    assert state is Status.from_store("a", {"state": state}, on_hold=False).state


def test_a_status_reads_its_hash_with_empty_texts_as_none() -> None:
    status = Status.from_store("a", FINISHED, on_hold=False)
    assert (3, 2, "bulk", None) == (status.hmt_flag, status.attempts, status.lane, status.reason)
    assert ("s3://photos/hmt-pass/a.json", None) == (status.result, status.finished_at)


def test_a_status_is_json_with_its_state_as_a_word() -> None:
    document = Status.from_store("a", FINISHED, on_hold=False).as_dict()
    assert ("a", "recognized", "s3://photos/a.jpg") == (document["job_id"], document["state"], document["image"])
