"""What is left when the storm is over, and whether that is nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import redis
from chaos.tally import Tally
from support.key_leaks import leaked_keys

from weighbridge.keys import Keys
from weighbridge.records import Lane
from weighbridge.scripts import INBOX_GROUP


@dataclass(frozen=True, slots=True)
class Rest:
    """What the server holds that should be gone."""

    sizes: Mapping[str, int]
    leaked: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return not any(self.sizes.values()) and not self.leaked


def look(url: str) -> Rest:
    """Read the sets, the inbox and the keys."""
    keys = Keys()
    sets = {"leased": keys.leased, "later": keys.later, "deadlines": keys.deadlines}
    sets |= {lane: keys.ready(lane) for lane in Lane}
    with redis.Redis.from_url(url) as client:
        sizes = {name: int(client.zcard(key)) for name, key in sets.items()}
        sizes["inbox"] = int(client.xlen(keys.inbox))
        if client.exists(keys.inbox):
            sizes["pending"] = int(client.xpending(keys.inbox, INBOX_GROUP)["pending"])
        return Rest(sizes, tuple(leaked_keys(client)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that one run shows.

    Args:
        calls: that reached the endpoint.
        over: by how many calls the worst of all windows exceeded what the limit allows.
        healed: whether everybody was answered and every worker drained within its time.
        tracebacks: that the workers printed.
    """

    tally: Tally
    rest: Rest
    calls: int
    over: float
    healed: bool
    storm: Mapping[str, int]
    exits: Mapping[int, int]
    tracebacks: int
    seconds: float
    seed: int

    @property
    def good(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.healed
            and self.rest.empty
            and not self.tally.wrong
            and not self.tally.lost
            and self.over <= 0
            and self.tally.answers > 0
            and self.tracebacks == 0
        )

    def line(self) -> str:
        """Say it in one line."""
        tally, storm = self.tally, self.storm
        failures = ", ".join(f"{code} {n}" for code, n in sorted(tally.failures.items()))
        left = ", ".join(f"{name} {size}" for name, size in self.rest.sizes.items() if size)
        exits = ", ".join(f"{n} times {code}" for code, n in sorted(self.exits.items()))
        return (
            f"{len(tally.numbers):,} jobs, {self.calls:,} calls, {tally.asked:,} asked,"
            f" {tally.answers:,} answers (failures, asked again: {failures or 'none'}),"
            f" {storm.get('kill', 0)} kills,"
            f" {storm.get('drain', 0)} drains, {storm.get('stop', 0)} stops,"
            f" {storm.get('restart', 0)} server restarts, {storm.get('pause', 0)} pauses,"
            f" {storm.get('weather', 0)} changes of weather, exits: {exits or 'none'};"
            f" lost {len(tally.lost)}, wrong {len(tally.wrong)}, left: {left or 'nothing'},"
            f" keys without TTL {len(self.rest.leaked)}, over limit {max(0.0, self.over):.1f},"
            f" tracebacks {self.tracebacks}, {'healed' if self.healed else 'NOT HEALED'};"
            f" {self.seconds:.0f} s, seed {self.seed}"
        )
