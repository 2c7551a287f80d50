"""Every schedule of the deliveries of one job within bounds, breadth first: the first trace found is the shortest.

A state is the world and what each worker has been answered so far. A crash is a worker that takes no further step: its
message comes back at once, for it may be delivered at any later time, and its leases lapse at any later time.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import cache

from fakes import jpeg
from invariants import ENDLESS, View, broken_at_end, broken_by_call, broken_by_step
from schedules import Bounds, Delivery, Move, Report, State, paths, trace
from stage import Node, Stage
from steps import Answer

CLOSING = 12  # deliveries after the last explored one, within which a job must have come to its end
CONTENTS = ("a photo", "another photo")


class Explorer:
    """Explores one stage within bounds."""

    def __init__(self, stage: Stage, bounds: Bounds) -> None:
        self._stage, self._bounds = stage, bounds
        self._view: Callable[[int], View] = cache(lambda number: View(stage.world(number), stage.job))

    def explore(self, until: Collection[str] = ()) -> Report:
        """Every reachable state, each once; or only until one of these promises is seen broken."""
        with self._stage.in_force():
            return self._explore(frozenset(until))

    def _explore(self, until: frozenset[str]) -> Report:
        start = State(self._stage.start, self._bounds)
        report, came_from = Report(), {start: (start, "")}
        leads_to: dict[State, list[State]] = {}
        left = deque([start])
        while left and until.isdisjoint(report.violations):
            state = left.popleft()
            moves = list(self._moves(state))
            if not state.running:
                self._close(state, report, came_from)
            leads_to[state] = [after for _, after, _ in moves]
            report.moves += len(moves)
            for label, after, broken in moves:
                if after not in came_from:
                    came_from[after] = (state, label)
                    left.append(after)
                for name in broken:
                    report.violations.setdefault(name, [*trace(came_from, state), label])
        report.states, report.schedules = len(came_from), 0 if left else paths(start, leads_to)
        return report

    # ---- what can happen next

    def _moves(self, state: State) -> Iterator[Move]:
        left, view = state.left, self._view(state.world)
        unseen = next((delivery for delivery in state.running if _is_unseen(state, delivery)), None)
        if unseen:
            yield from self._steps(state, unseen)
            return
        if state.queued and len(state.running) < left.at_once and state.started < left.deliveries:
            yield self._deliver(state)
        for delivery in state.running:
            yield from self._moves_of(state, delivery)
        for key in view.leases:
            if self._is_living(state, view.leases[key]):
                if not left.lapses:
                    continue
                after = replace(state, left=replace(left, lapses=left.lapses - 1))
            else:
                after = state
            yield f"{_short(key)} of {view.leases[key]} lapses", self._lapsed(after, key), []
        if view.is_delayed and state.started < left.deliveries:
            yield "the delay is over", self._due(state), []
        yield from self._moves_of_the_uploader(state)

    def _moves_of(self, state: State, delivery: Delivery) -> Iterator[Move]:
        left, name = state.left, f"worker {delivery.node.delivery}"
        if delivery.node.step:
            yield from self._steps(state, delivery)
        else:
            yield self._acknowledge(state, delivery)
        if left.crashes:
            after = replace(state, left=replace(left, crashes=left.crashes - 1), running=_without(state, delivery))
            yield f"{name} is killed", replace(after, queued=state.queued + delivery.booked), []
        if left.redeliveries and delivery.booked:
            after = replace(state, left=replace(left, redeliveries=left.redeliveries - 1), queued=state.queued + 1)
            running = _with(state, delivery, replace(delivery, booked=False))
            yield f"{name} stands still, its message is given to another", replace(after, running=running), []

    def _deliver(self, state: State) -> Move:
        node = self._stage.delivered(state.started + 1)
        running = (*state.running, Delivery(node))
        after = replace(state, running=running, queued=state.queued - 1, started=state.started + 1)
        return f"worker {node.delivery} is given the message", after, []

    def _steps(self, state: State, delivery: Delivery) -> Iterator[Move]:
        yield self._step(state, delivery)
        for lost in ("request", "answer") if state.left.losses else ():
            after = replace(state, left=replace(state.left, losses=state.left.losses - 1))
            yield self._step(after, delivery, lost)

    def _step(self, state: State, delivery: Delivery, lost: str = "") -> Move:
        number, node = self._stage.take(state.world, delivery.node, lost)
        before, after, step = self._view(state.world), self._view(number), delivery.node.step
        assert step is not None
        broken = broken_by_step(before, after)
        if step.sha256 and len(after.world.books) > len(before.world.books):
            broken += broken_by_call(step.sha256, delivery.paid_for)
        moved = replace(delivery, node=node, paid_for=before.paid_for)
        label = f"worker {node.delivery}: {step.label}{f', its {lost} is lost' if lost else ''} -> {_last(node)}"
        return label, replace(state, world=number, running=_with(state, delivery, moved)), broken

    def _acknowledge(self, state: State, delivery: Delivery) -> Move:
        assert delivery.node.run is not None
        end = delivery.node.run.end
        back = delivery.booked and end == "requeued"
        after = replace(state, running=_without(state, delivery), queued=state.queued + back)
        broken = ["a message is dropped"] if end == "dropped" else []
        return f"worker {delivery.node.delivery} ends: {end}, the message is settled", after, broken

    def _moves_of_the_uploader(self, state: State) -> Iterator[Move]:
        uploaded, enqueued = state.contents
        if state.left.uploads:
            number = self._stage.change(state.world, "upload", lambda: self._stage.upload(CONTENTS[uploaded]))
            after = replace(state, world=number, contents=(uploaded + 1, enqueued))
            yield "another photo is uploaded", replace(after, left=replace(state.left, uploads=0)), []
        if enqueued < uploaded:
            number = self._stage.change(state.world, "enqueue", self._stage.enqueue)
            after = replace(state, world=number, queued=state.queued + 1, contents=(uploaded, uploaded))
            yield "the job is enqueued again", after, []

    def _lapsed(self, state: State, key: str) -> State:
        return replace(state, world=self._stage.lapse(state.world, key))

    def _due(self, state: State) -> State:
        return replace(state, world=self._stage.come_due(state.world), queued=state.queued + 1)

    def _is_living(self, state: State, token: str) -> bool:
        return any(delivery.node.token == token for delivery in state.running)

    # ---- how it ends

    def _close(self, state: State, report: Report, came_from: dict[State, tuple[State, str]]) -> None:
        """Let the messages that are left run one after the other, undisturbed; then every promise must have held."""
        quiet = replace(self._bounds, at_once=1, crashes=0, lapses=0, losses=0, redeliveries=0, uploads=0)
        now, labels, broken = replace(state, left=replace(quiet, deliveries=state.started + CLOSING)), [], []
        while moves := list(self._moves(now)):
            label, now, found = moves[0]
            labels.append(label)
            broken += found
        view = self._view(now.world)
        if now.queued or view.is_delayed:
            broken.append(ENDLESS)
        sha256 = hashlib.sha256(jpeg(CONTENTS[now.contents[1] - 1])).hexdigest()
        broken += broken_at_end(view, may_cost=self._bounds.may_cost, sha256=sha256)
        report.ends[f"{view.state} for {len(view.world.books)}"] += 1
        for name in broken:
            report.violations.setdefault(name, [*trace(came_from, state), "(undisturbed from here)", *labels])


def _is_unseen(state: State, delivery: Delivery) -> bool:
    """Whether the next step neither changes what others see nor sees what others change: then it may go first."""
    is_photo_fixed = not state.left.uploads
    names = ("MOVED", "S3 get the photo") if is_photo_fixed else ("MOVED",)
    return delivery.node.step is not None and delivery.node.step.label in names


def _with(state: State, old: Delivery, new: Delivery) -> tuple[Delivery, ...]:
    return tuple(new if delivery is old else delivery for delivery in state.running)


def _without(state: State, old: Delivery) -> tuple[Delivery, ...]:
    return tuple(delivery for delivery in state.running if delivery is not old)


def _last(node: Node) -> str:
    return str(node.answers[-1] if node.answers else Answer())


def _short(key: str) -> str:
    return "the lease on the content" if ":content:" in key else "the claim"
