"""The protocol's steps in any order on a real server, and what always holds between them.

The machine is synchronous; the queue runs on one event loop that lives as long as the machine.
"""

from collections.abc import Coroutine
from typing import Any, Literal

import redis
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stateful.checked_queue import CheckedQueue, Status
from stateful.timed_runner import TimedRunner
from support.key_leaks import leaked_keys
from support.queue_under_test import queue_on_server

from weighbridge.records import Lane, Lease

NAMES = [f"job-{number}" for number in range(5)]
WORKERS = ["one", "two", "three"]

names = st.sampled_from(NAMES)
some_names = st.lists(names, min_size=1, max_size=3)
lanes = st.sampled_from(list(Lane))
producers = st.sampled_from("pq")
waiters = st.sampled_from(["w", "w", "w", "x", ""])
workers = st.sampled_from(WORKERS)
statuses = st.sampled_from(["counted", "failed"])
mostly = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False, False, True])
ago = st.integers(0, 9)
LIKELY_STALE = 7
"""How many leases ago: of those that hold, from this number on of all."""


def has_leases(machine: "ProtocolMachine") -> bool:
    """Say whether any worker was ever given a lease."""
    return bool(machine.checked.leases)


class ProtocolMachine(RuleBasedStateMachine):
    """Steps at random, each held against the model.

    Args:
        url: a server of the test's own; **its data are deleted**.
    """

    def __init__(self, url: str) -> None:
        super().__init__()
        self._server = redis.Redis.from_url(url)
        self._server.flushall()
        self._runner = TimedRunner()
        self._opened = queue_on_server(url)
        self.checked = CheckedQueue(self._runner.run(self._opened.__aenter__()))

    def teardown(self) -> None:
        """Work off what is left, and see that nothing of it stays."""
        try:
            if not self._runner.disagreed:  # or the first disagreement would hide behind the last
                self._work_off()
                assert self.checked.model.jobs == {}
                self.agrees_with_the_model()
                self.leaks_no_key()
        finally:
            self._run(self._opened.__aexit__(None, None, None))
            self._runner.close()
            self._server.close()

    def _work_off(self) -> None:
        for _ in range(30):
            self.let_leases_end(NAMES)
            self.let_delays_be_over(NAMES)
            for worker in WORKERS:
                self.take(worker, 8)
                self._run(self.checked.settle(self.checked.leases[-8:], "counted"))
            if not self.checked.model.jobs:
                return

    # The producers' steps.

    @initialize(some=st.lists(st.tuples(names, lanes, producers, waiters), min_size=3, max_size=8))
    def begin(self, some: list[tuple[str, Lane, str, str]]) -> None:
        """Begin with a queue that is not empty."""
        for name, lane, producer, waiter in some:
            self._run(self.checked.submit(name, lane, producer, waiter=waiter))

    @rule(
        some=some_names,
        lane=lanes,
        producer=producers,
        waiter=waiters,
        writes=mostly,
        along=st.booleans(),
        bound=mostly.map(lambda high: 100_000 if high else 3),
        force=st.booleans(),
        replies=seldom,
    )
    def submit(
        self,
        some: list[str],
        lane: Lane,
        producer: str,
        waiter: str,
        writes: bool,
        along: bool,
        bound: int,
        force: bool,
        replies: bool,
    ) -> None:
        """Submit jobs, duplicates, or against a settle that has just been."""
        for name in some:
            self._run(
                self.checked.submit(
                    name,
                    lane,
                    producer,
                    waiter=waiter,
                    writes=writes,
                    along=along,
                    max_queue=bound,
                    force=force,
                    replies=replies,
                )
            )

    @rule(name=names, lane=lanes, producer=producers)
    def replay(self, name: str, lane: Lane, producer: str) -> None:
        """Drop a failure and submit its job again."""
        self._run(self.checked.replay(name, lane, producer))

    @rule(name=names, who=st.sampled_from(["w", "x", "wx"]))
    def cancel(self, name: str, who: str) -> None:
        """Withdraw a job, wanted by others or not."""
        for waiter in who:
            self._run(self.checked.cancel(name, waiter))

    # The workers' steps.

    @rule(worker=workers, want=st.integers(1, 4))
    def take(self, worker: str, want: int) -> None:
        """Take as a healthy, idle worker does."""
        self._run(self.checked.take(worker, want))

    @rule(
        worker=workers,
        want=st.integers(0, 4),
        suspects=st.sampled_from([0, 0, 0, 1]),
        in_flight=st.integers(0, 1),
        held=st.lists(ago, max_size=2),
        heard=st.booleans(),
        again=seldom,
    )
    def visit(
        self,
        worker: str,
        want: int,
        suspects: int,
        in_flight: int,
        held: list[int],
        heard: bool,
        again: bool,
    ) -> None:
        """Take with jobs whose slots were missed; unheard, or the same operation once more."""
        missed = [self._lease(number) for number in held] if self.checked.leases else []
        self._run(
            self.checked.take(
                worker,
                want,
                suspects=suspects,
                in_flight=in_flight,
                held=missed,
                heard=heard,
                again=again,
            )
        )

    @rule(worker=workers)
    def take_late(self, worker: str) -> None:
        """Let an operation arrive after a newer one."""
        self._run(self.checked.take_late(worker))

    @precondition(has_leases)
    @rule(which=st.lists(ago, min_size=1, max_size=3), status=statuses)
    def settle(self, which: list[int], status: Status) -> None:
        """Settle leases that hold, and stale ones."""
        self._run(self.checked.settle([self._lease(number) for number in which], status))

    @precondition(has_leases)
    @rule(which=ago, then_fails=st.booleans())
    def publish_and_die(self, which: int, then_fails: bool) -> None:
        """Write a count, and die before the settle; whoever has the job may fail."""
        lease = self._lease(which)
        self._run(self.checked.publish_and_die(lease))
        if then_fails:
            self._run(self.checked.settle([lease], "failed"))

    @precondition(has_leases)
    @rule(which=ago)
    def release(self, which: int) -> None:
        """Give a lease back unharmed."""
        self._run(self.checked.release(self._lease(which)))

    @precondition(has_leases)
    @rule(which=ago, due=st.booleans())
    def retry(self, which: int, due: bool) -> None:
        """Give a lease back with an attempt used."""
        self._run(self.checked.retry(self._lease(which), due=due))

    def _lease(self, number: int) -> Lease:
        """Choose a lease that holds, if there is one, for the lower numbers; any for the others."""
        holding = self.checked.holding if number < LIKELY_STALE else []
        leases = holding or self.checked.leases
        return leases[-1 - number % len(leases)]

    # What befalls them.

    @rule(worker=workers, want=st.integers(1, 3), times=st.integers(1, 2))
    def take_and_die(self, worker: str, want: int, times: int) -> None:
        """Let a worker die with what it takes, once or twice."""
        for _ in range(times):
            self.take(worker, want)
            self.let_leases_end(NAMES)

    @rule(some=some_names)
    def let_leases_end(self, some: list[str]) -> None:
        """Let workers die."""
        self.checked.model.be_over("leased", some)
        self._run(self.checked.queue.end_leases(*some))

    @rule(some=some_names)
    def let_delays_be_over(self, some: list[str]) -> None:
        """Let the moment of retries come."""
        self.checked.model.be_over("later", some)
        self._run(self.checked.queue.make_due(*some))

    @rule(name=names, what=st.sampled_from(["deadline", "tombstone", "payload"]))
    def lose(self, name: str, what: str) -> None:
        """Let a deadline pass, the minute after a settle be over, or a payload vanish."""
        if what == "deadline":
            self.checked.model.expire(name)
            self._run(self.checked.queue.expire(name))
        elif what == "payload":
            self.checked.model.lose_payload(name)
            self._run(self.checked.queue.delete_payload(name))
        elif self.checked.model.tombstones.pop(name, None):
            self._run(self.checked.queue.delete_job(name))

    @rule(what=st.sampled_from(["scripts", "bucket", "claim"]))
    def forget(self, what: str) -> None:
        """Let the server forget its scripts or the bucket, or a claim on a suspect lapse."""
        if what == "scripts":
            self._server.script_flush()
        elif what == "bucket":
            self.checked.model.lose_bucket()
            self._server.delete(self.checked.queue.keys.bucket)
        elif self.checked.model.lapse_claim():
            self._server.hset(self.checked.queue.keys.bucket, "suspects_until", "1")

    @rule(worker=workers, held=st.lists(ago, max_size=1))
    def visit_while_paused(self, worker: str, held: list[int]) -> None:
        """Visit while an operator holds the fleet: nothing may be called."""
        self._change("pause")
        self.visit(worker, 2, suspects=0, in_flight=0, held=held, heard=True, again=False)
        self._change("resume")

    def _change(self, action: Literal["pause", "resume"]) -> None:
        self.checked.model.paused = action == "pause"
        self._run(self.checked.queue.bucket.change(action))

    # What always holds.

    @invariant()
    def agrees_with_the_model(self) -> None:
        """Each live job stands in one place, its payload there to stay, as the model says."""
        self._run(self.checked.check(NAMES))

    @invariant()
    def leaks_no_key(self) -> None:
        """No key stays for ever but those that may."""
        assert leaked_keys(self._server) == []

    def _run(self, step: Coroutine[Any, Any, object]) -> None:
        self._runner.run(step)


def walk(url: str, chosen: settings, number: int) -> None:
    """Walk as often and as far as the settings say; the same number walks the same ways."""

    class Walk(ProtocolMachine):
        def __init__(self) -> None:
            super().__init__(url)

    run_state_machine_as_test(seed(number)(Walk), settings=chosen)
