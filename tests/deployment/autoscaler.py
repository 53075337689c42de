"""KEDA's and the HorizontalPodAutoscaler's arithmetic, over the commands that KEDA sends.

KEDA's ``redis`` trigger asks for the key's type and counts it with that type's command; its
``redis-streams`` trigger without a consumer group takes the stream's length. A ScaledObject is
active if one of its triggers counts more than its activation value; the autoscaler then wants the
largest of ceil(count / target), within the bounds
(https://keda.sh/docs/2.18/concepts/scaling-deployments/).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import yaml

COUNT = """
local counts = {zset = 'zcard', set = 'scard', list = 'llen', hash = 'hlen', none = 'llen'}
return redis.call(counts[redis.call('type', KEYS[1]).ok], KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger: what it counts, for how much of it a worker, and from what it wakes."""

    kind: str
    key: str
    target: int
    activation: int

    def count(self, client: redis.Redis) -> int:
        """Count as KEDA would."""
        if self.kind == "redis-streams":
            return int(client.xlen(self.key))
        return int(client.eval(COUNT, 1, self.key))


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """The workers' ScaledObject."""

    floor: int
    most: int
    triggers: tuple[Trigger, ...]

    def wanted(self, client: redis.Redis) -> int:
        """Say how many workers KEDA and the autoscaler would run."""
        counts = [(trigger, trigger.count(client)) for trigger in self.triggers]
        if not any(count > trigger.activation for trigger, count in counts):
            return self.floor
        desired = max(math.ceil(count / trigger.target) for trigger, count in counts)
        return min(self.most, max(self.floor, desired, 1))


def read_scaled_object(path: Path) -> ScaledObject:
    """Read it from our manifest."""
    documents = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    [spec] = [each["spec"] for each in documents if each["kind"] == "ScaledObject"]
    triggers = tuple(_trigger(each["type"], each["metadata"]) for each in spec["triggers"])
    return ScaledObject(spec["minReplicaCount"], spec["maxReplicaCount"], triggers)


def _trigger(kind: str, metadata: dict[str, Any]) -> Trigger:
    stream = kind == "redis-streams"
    return Trigger(
        kind,
        metadata["stream" if stream else "listName"],
        int(metadata["streamLength" if stream else "listLength"]),
        int(metadata.get("activationListLength", "0")),
    )
