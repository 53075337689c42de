"""The gateway's settings; what it shares with producers stands in ``weighbridge.settings``."""

import ipaddress
from dataclasses import dataclass

from weighbridge.errors import SettingsError
from weighbridge.settings import matching, option, seconds, whole
from weighbridge_worker.settings import log_format, log_level

MIB = 2**20


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What the gateway needs beside the queue."""

    host: str = option(
        "WEIGHBRIDGE_GATEWAY_HOST",
        "127.0.0.1",
        "The address on which the gateway answers; any but a loopback one takes a tokens file.",
        parse=matching(r"[A-Za-z0-9.:-]{1,253}", "a host's name or address"),
    )
    port: int = option(
        "WEIGHBRIDGE_GATEWAY_PORT",
        8397,
        "The gateway's port; 0 takes a free one.",
        parse=whole(0, 65_535),
    )
    tokens_file: str = option(
        "WEIGHBRIDGE_TOKENS_FILE",
        "",
        "Who may ask the gateway: a TOML file, see deploy/gateway/README.md.",
        parse=str,
        shown="none",
    )
    patience_s: float = option(
        "WEIGHBRIDGE_GATEWAY_PATIENCE",
        60.0,
        "Seconds that a request waits for its count before it is answered 429; a caller may "
        "shorten it.",
        parse=seconds(0.1, 3600),
    )
    max_connections: int = option(
        "WEIGHBRIDGE_GATEWAY_CONNECTIONS",
        4096,
        "Connections the gateway keeps open at once; more are answered 529 and closed.",
        parse=whole(1, 1_000_000),
    )
    max_body_bytes: int = option(
        "WEIGHBRIDGE_GATEWAY_MEMORY",
        512 * MIB,
        "Bytes of all requests' bodies together that the gateway holds before it answers 529; at "
        "least one largest body's 32 MiB.",
        parse=whole(32 * MIB, 2**50),
    )
    read_timeout_s: float = option(
        "WEIGHBRIDGE_GATEWAY_READ_TIMEOUT",
        20.0,
        "Seconds in which a request's head must have come whole, and in any of which its body must "
        "have gone on coming at 16 KiB a second.",
        parse=seconds(0.1, 600),
    )
    drain_s: float = option(
        "WEIGHBRIDGE_GATEWAY_DRAIN",
        25.0,
        "Seconds that open requests get to finish after SIGTERM; shorter than the container's "
        "grace period.",
        parse=seconds(0.1, 900),
    )
    log_level: str = log_level()
    log_format: str = log_format()

    def __post_init__(self) -> None:
        """Check what the options mean together.

        Raises:
            SettingsError: others could reach the gateway, and nobody said who may ask it.
        """
        if not self.tokens_file and not is_loopback(self.host):
            raise SettingsError(
                f"WEIGHBRIDGE_GATEWAY_HOST (or --host) is {self.host}, which other machines can"
                " reach: say in WEIGHBRIDGE_TOKENS_FILE who may ask, or listen on 127.0.0.1"
            )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address, or means itself by a name."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
