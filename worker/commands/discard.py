"""`dead-letters discard`."""

from contextlib import suppress

import click

from hmt_pass.errors import StoreError
from worker.commands.output import progress, show_done, with_json
from worker.commands.selection import needed, selected, selecting_some
from worker.dead_letter_index import CHUNK, chunks
from worker.services import services
from worker.wanted import Wanted


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@selecting_some
@with_json
def discard(*, yes: bool, wanted: Wanted | None, as_json: bool) -> None:
    """Drop dead letters for good. The jobs stay `dead` until their state expires, unless they are under way again."""
    letters = [letter for letter, _ in selected(needed(wanted))]
    if not yes:
        click.confirm(f"discard {len(letters)} dead letters for good?", abort=True, err=True)
    dropped = going_on = 0
    with progress("discarding", len(letters), as_json=as_json) as move:
        for chunk in chunks(letters, CHUNK):
            job_ids = services().dead_letters.discard_all(chunk)
            going_on += services().claims.drop(job_ids, services().settings.status_ttl_s)
            dropped += len(job_ids)
            move(len(chunk))
    with suppress(StoreError):  # what was asked for is done; housekeeping tidies too
        services().dead_letters.keep_in_step()
    lines = [f"{dropped} discarded"] + [f"{going_on} of their jobs are under way again and go on"] * bool(going_on)
    show_done({"discarded": dropped, "going_on": going_on}, as_json=as_json, lines=lines)
