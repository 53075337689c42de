"""The limit in a sentence, as ``limit`` and ``status`` say it."""

from weighbridge.bucket import FAILING, BucketState

HOLDS = {
    "enforced_spend_limit_reached": "the organisation's spend limit is reached",
    "contract_spend_limit_reached": "the contract's spend limit is reached",
    "organization_on_hold": "the organisation is on hold",
    FAILING: "most calls to the endpoint fail",
}
"""The codes of ``counter.HOLD_CODES``, and the bucket's own."""

WHOLE_SHARE = 0.995
"""From here on it would read as 100 %."""


def describe_limit(limit: BucketState) -> str:
    """Say which rate is set and by whom, and what holds the fleet below it."""
    if not limit.rpm:
        return "no rate is set yet: the first worker brings it"
    owner = "set by an operator" if limit.by_operator else "from the workers' setting"
    return "; ".join([f"{limit.rpm:,} calls a minute, {owner}", *_restraints(limit)])


def _restraints(limit: BucketState) -> list[str]:
    said = []
    if 0 < limit.seen_rpm < limit.rpm:
        said.append(f"held to {limit.seen_rpm:,} by the endpoint's own headers")
    if limit.share < WHOLE_SHARE:
        said.append(
            f"at {limit.share:.0%} after a 429, a sign of one, an outage or idleness, regrowing"
        )
    if limit.paused:
        said.append("paused by an operator until `weighbridge limit resume`")
    if limit.hold:
        cause = HOLDS.get(limit.hold, limit.hold)
        said.append(f"on hold, {cause}: one probe at a growing interval, resumes by itself")
    elif limit.blocked_s:
        said.append(f"the whole fleet pauses for {limit.blocked_s:.0f} s more")
    return said
