"""Whether what goes to a Redis URL can be read on its way."""

from ipaddress import ip_address

from weighbridge.server_url import parse_server_url


def goes_in_plaintext(url: str) -> bool:
    """Say whether the URL leads to another machine without TLS.

    A host name other than ``localhost`` counts as another machine: it may be one tomorrow.
    """
    try:
        server = parse_server_url(url)
    except ValueError:
        return False  # no URL that anybody could connect to
    return not server.tls and not all(_is_loopback(host) for host, _ in server.hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
