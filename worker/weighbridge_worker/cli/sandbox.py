"""``weighbridge sandbox``: the stand-in endpoint as a server of its own."""

import anyio

from weighbridge_worker.cli.assembly import say
from weighbridge_worker.sandbox import SandboxSettings, serve


def run_sandbox(*, host: str, port: int, rpm: int, depth: int, latency_s: float) -> int:
    """Run the command; returns the exit status."""
    settings = SandboxSettings(rpm=rpm, depth=depth, latency_s=latency_s)

    def announce(base_url: str) -> None:
        say(
            f"Serving estimates at {base_url}, {rpm:,} a minute. For a worker:\n"
            f"    ANTHROPIC_BASE_URL={base_url} ANTHROPIC_API_KEY=sandbox weighbridge worker"
        )

    try:
        anyio.run(serve, settings, host, port, announce)
    except KeyboardInterrupt:
        return 0
    return 0
