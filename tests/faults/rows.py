"""The fault table: every row with its scenario and its sizes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faults import (
    answers,
    endpoint,
    machine,
    memory,
    network,
    payloads,
    producers,
    server,
    versions,
    workers,
)
from faults.report import FaultReport
from faults.stage import Run

Scenario = Callable[[Run], Awaitable[FaultReport]]


@dataclass(frozen=True, slots=True)
class Row:
    """One fault.

    Args:
        size: jobs, or whatever the row counts, as the table says.
        quick: the same for a run of seconds.
    """

    number: int
    scenario: Scenario
    size: int
    quick: int


ROWS = (
    Row(1, workers.kill_at_every_step, 10_000, 200),
    Row(2, workers.rolling_restarts, 5_000, 300),
    Row(3, workers.drain_with_a_stuck_call, 100, 10),
    Row(4, workers.zombies, 10_000, 200),
    Row(5, server.stopped, 10_000, 200),
    Row(6, server.killed, 10_000, 200),
    Row(7, server.emptied, 2_000, 200),
    Row(8, server.away_for_long, 2_000, 200),
    Row(9, network.links_broken, 10_000, 150),
    Row(10, network.replica_promoted, 10_000, 300),
    Row(11, endpoint.storm_of_429s, 3_000, 100),
    Row(12, endpoint.odd_pauses, 20, 5),
    Row(13, endpoint.a_third_fails, 10_000, 100),
    Row(14, endpoint.away, 5_000, 100),
    Row(15, endpoint.slow, 400, 10),
    Row(16, answers.no_counts, 30, 2),
    Row(17, answers.refused_payloads, 100, 5),
    Row(18, answers.refused_key, 1_000, 20),
    Row(19, workers.two_of_one_name, 1_000, 100),
    Row(20, payloads.duplicates, 10_000, 400),
    Row(21, payloads.poison, 1_000, 100),
    Row(22, payloads.malformed, 200, 11),
    Row(23, payloads.huge, 200, 20),
    Row(24, memory.filled_by_payloads, 50, 8),
    Row(25, memory.filled_by_others, 1_000, 100),
    Row(26, versions.wrong_policy, 100, 10),
    Row(27, machine.clock_jumps, 10_000, 200),
    Row(28, payloads.vanished, 1_000, 50),
    Row(29, server.inbox_deleted, 2_000, 200),
    Row(30, server.scripts_flushed, 10_000, 300),
    Row(31, versions.two_versions, 20_000, 100),
    Row(32, memory.disk_full, 10_000, 300),
    Row(33, memory.little_for_a_worker, 1_000, 20),
    Row(34, producers.producers_killed, 50, 2),
    Row(35, machine.starved, 2_000, 50),
)
