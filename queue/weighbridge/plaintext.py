"""Whether what goes to a Redis URL can be read on its way."""

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit


def goes_in_plaintext(url: str) -> bool:
    """Say whether the URL leads to another machine without TLS.

    A host name other than ``localhost`` counts as another machine: it may be one tomorrow.
    """
    try:
        parts = urlsplit(url)
        host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    except ValueError:
        return False  # no URL that anybody could connect to
    return parts.scheme == "redis" and not _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
