"""Every Redis key, nothing else.

All keys but the results carry the hash tag ``{ns}``, so that every script's keys stand in one
Cluster slot. Results carry their own tag and spread over a cluster.
"""

from dataclasses import dataclass

from weighbridge.records import WIRE_VERSION, Lane


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace."""

    namespace: str = "weighbridge"

    @property
    def prefix(self) -> str:
        """What every key of the coordination slot begins with; scripts build job keys from it."""
        return f"{{{self.namespace}}}:{WIRE_VERSION}:"

    def ready(self, lane: Lane) -> str:
        return f"{self.prefix}ready:{lane}"

    def fair(self, lane: Lane) -> str:
        return f"{self.prefix}fair:{lane}"

    @property
    def leased(self) -> str:
        return f"{self.prefix}leased"

    @property
    def later(self) -> str:
        return f"{self.prefix}later"

    @property
    def deadlines(self) -> str:
        return f"{self.prefix}deadlines"

    def job(self, digest: str) -> str:
        return f"{self.prefix}job:{digest}"

    def payload(self, digest: str) -> str:
        return f"{self.prefix}payload:{digest}"

    def kept(self, digest: str) -> str:
        return f"{self.prefix}kept:{digest}"

    @property
    def bytes(self) -> str:
        """A hash: the bytes of each live job's payload by digest, and their ``sum``."""
        return f"{self.prefix}bytes"

    def replies(self, digest: str) -> str:
        return f"{self.prefix}replies:{digest}"

    @property
    def bucket(self) -> str:
        return f"{self.prefix}bucket"

    @property
    def doorbell(self) -> str:
        return f"{self.prefix}doorbell"

    @property
    def inbox(self) -> str:
        return f"{self.prefix}inbox"

    @property
    def dead(self) -> str:
        return f"{self.prefix}dead"

    @property
    def workers(self) -> str:
        return f"{self.prefix}workers"

    def worker(self, worker_id: str) -> str:
        return f"{self.prefix}worker:{worker_id}"

    @property
    def scope(self) -> str:
        return f"{self.prefix}scope"

    @property
    def job_ids(self) -> str:
        """The secret with which gateways seal their jobs' ids."""
        return f"{self.prefix}job_ids"

    def mark(self, name: str) -> str:
        """A write of no meaning, which replicas have after all that came before it."""
        return f"{self.prefix}mark:{name}"

    @property
    def done(self) -> str:
        """A channel: the digests that were settled."""
        return f"{self.prefix}done"

    @property
    def told(self) -> str:
        """A channel: the results that were settled, for whoever waits for them."""
        return f"{self.prefix}results"

    def reply(self, reply_id: str) -> str:
        return f"{self.prefix}reply:{reply_id}"

    def bell(self, reply_id: str) -> str:
        return f"{self.prefix}bell:{reply_id}"

    def budget(self, run: str) -> str:
        return f"{self.prefix}budget:{run}"

    def budget_held(self, run: str) -> str:
        return f"{self.prefix}budget_held:{run}"

    def budget_amounts(self, run: str) -> str:
        return f"{self.prefix}budget_amounts:{run}"

    @property
    def review(self) -> str:
        return f"{self.prefix}review"

    def review_payload(self, digest: str) -> str:
        return f"{self.prefix}review_payload:{digest}"

    def review_written(self, operation: str) -> str:
        return f"{self.prefix}review_written:{operation}"

    def approval(self, digest: str) -> str:
        return f"{self.prefix}approval:{digest}"

    @property
    def results(self) -> str:
        """What every result's key begins with; its digest follows in braces."""
        return f"{self.namespace}:{WIRE_VERSION}:result:"

    def result(self, digest: str) -> str:
        return f"{self.results}{{{digest}}}"

    @property
    def any_result(self) -> str:
        """A pattern that all results match, for a walk through the cache."""
        return f"{self.results}{{*}}"
