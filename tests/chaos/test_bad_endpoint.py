"""Everything that an endpoint can do to a caller: every script, storms of them, and answers that come too late."""

import pytest
from chaos import scripted
from chaos.scripted import Behaviour, code, late
from chaos.world import World

from hmt_pass.codes import Code, Disposition

SCRIPTS: dict[str, list[Behaviour]] = {
    "drops the connection unread": [scripted.DROP_UNREAD],
    "charges and drops the connection": [scripted.DROP_CHARGED],
    "hangs": [scripted.HANG],
    "answers too late": [late(3)],
    "trickles": [scripted.TRICKLE],
    "half a body": [scripted.HALF],
    "garbage": [scripted.GARBAGE],
    "no HTTP": [scripted.NOT_HTTP],
    "HTML 502": [scripted.HTML_502],
    "1005 then 9999": [code("1005"), code("9999")],
}
ENDS = {Disposition.RETRY: "recognized", Disposition.SNOOZE: "recognized", Disposition.REJECT: "rejected"}
LOCAL_CODES = [item for item in Code if item is not Code.OK and not item.account_wide]


@pytest.mark.chaos_full
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_call_that_goes_wrong_is_repeated_within_its_bound(world: World, script: str) -> None:
    world.endpoint.script(*SCRIPTS[script])
    world.fleet.start()
    world.enqueue(6)

    findings = world.verdict(f"endpoint: {script}", faults=len(SCRIPTS[script]))
    assert [] == findings.violations
    expected = {"recognized": 5, "dead": 1} if script == "garbage" else {"recognized": 6}
    assert expected == findings.ends


@pytest.mark.chaos_full
def test_every_business_code_ends_its_job_as_the_table_says(world: World) -> None:
    scripts = {world.job_id(number): [code(item.value)] for number, item in enumerate(LOCAL_CODES)}
    world.endpoint.script_for(scripts)
    world.fleet.start()
    job_ids = world.enqueue(len(LOCAL_CODES))

    findings = world.verdict("endpoint: every code of one job", faults=len(LOCAL_CODES))
    assert [] == findings.violations
    expected = [ENDS.get(item.disposition, "dead") for item in LOCAL_CODES]
    assert expected == [str(world.producer.status(job_id).state) for job_id in job_ids]


@pytest.mark.chaos_any_broker
def test_a_storm_of_everything_loses_no_job_and_buys_none_that_is_known_again(world: World) -> None:
    storms = [scripted.DROP_UNREAD, scripted.DROP_CHARGED, scripted.HALF, scripted.HTML_502, scripted.NOT_HTTP, late(3)]
    calm = [code("1005"), code("9999"), code("1009"), code("1013")]
    world.endpoint.mix(world.seed, *[(item, 0.04) for item in storms], *[(item, 0.06) for item in calm])
    world.fleet.start(2)
    world.enqueue(world.size(60, 1000))

    recovery_s = world.drain(300)

    findings = world.audit("endpoint: a storm of everything", recovery_s, faults=count_faults(world))
    assert [] == findings.violations


def count_faults(world: World) -> int:
    """The calls that got anything but a prompt 0000."""
    answered = world.endpoint.calls()
    return world.endpoint.dropped_unread() + sum((call.did, call.code) != ("answer", "0000") for call in answered)
