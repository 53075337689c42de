"""The forms of a Redis URL: one server, the primary that sentinels know, a cluster."""

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

FORMS = (
    "redis://, rediss:// or unix://, or with several hosts redis+sentinel://host,host/service/0 or"
    " redis+cluster://host,host (rediss+… for TLS)"
)
SCHEME = re.compile(r"(redis|rediss)(?:\+(sentinel|cluster))?|unix")
PORTS = {"single": 6379, "cluster": 6379, "sentinel": 26379}

TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""What redis-py calls the files of a TLS connection, in a URL's query too."""

Kind = Literal["single", "sentinel", "cluster"]
Host = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """Where the servers are.

    Args:
        hosts: the server, some nodes of the cluster, or the sentinels.
        plain: the same as a URL of one server, for redis-py to parse; it may hold a password.
        service: what the sentinels call the primary.
    """

    kind: Kind
    tls: bool
    hosts: tuple[Host, ...]
    plain: str = field(repr=False)
    service: str = ""


def parse_server_url(url: str) -> ServerUrl:
    """Take a URL apart.

    Raises:
        ValueError: it has none of the forms.
    """
    netloc, parts = _split(url)
    scheme = SCHEME.fullmatch(parts.scheme)
    if scheme is None:
        raise ValueError(f"takes {FORMS}")
    tls = scheme[1] == "rediss"
    if scheme[2] is None:
        return ServerUrl("single", tls, _single(parts), url)
    kind: Kind = "sentinel" if scheme[2] == "sentinel" else "cluster"
    user, _, names = netloc.rpartition("@")
    hosts = tuple(_host(name, PORTS[kind]) for name in names.split(","))
    service, database = _path(kind, parts.path)
    at = f"{user}@" if user else ""
    query = f"?{parts.query}" if parts.query else ""
    plain = f"{'rediss' if tls else 'redis'}://{at}localhost/{database}{query}"
    return ServerUrl(kind, tls, hosts, plain, service)


def checked_url(text: str) -> str:
    """Parse a setting that is a Redis URL; what it says stays one text.

    Raises:
        ValueError: it is none; the text says what is.
    """
    try:
        if re.search(r"\s", text):
            raise ValueError(FORMS)
        parse_server_url(text)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("takes ")) from None
    return text


def with_tls_files(url: str, *files: str) -> str:
    """Add the files of a TLS connection (CA, certificate, key; empty for none) to a TLS URL.

    What the URL says itself stays.
    """
    netloc, parts = _split(url)
    said = parse_qs(parts.query)
    added = {
        name: file for name, file in zip(TLS_FILES, files, strict=True) if file and name not in said
    }
    if not added or not parts.scheme.startswith("rediss"):
        return url
    query = "&".join(filter(None, (parts.query, urlencode(added))))
    return parts._replace(netloc=netloc, query=query).geturl()


def _split(url: str) -> tuple[str, SplitResult]:
    """Split a URL; where it may name several hosts, they are left out of the parts.

    Newer versions of the standard library take no IPv6 address that stands behind a comma.
    """
    several = re.match(r"(\w+\+\w+://)([^/?#]*)", url)
    if several is None:
        parts = urlsplit(url)
        return parts.netloc, parts
    return several[2], urlsplit(several[1] + url[several.end() :])


def _single(parts: SplitResult) -> tuple[Host, ...]:
    if parts.scheme == "unix":
        return ()
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    return ((host, parts.port or PORTS["single"]),)


def _host(name: str, port: int) -> Host:
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]/]+)(?::(\d{1,5}))?", name)
    if found is None:
        raise ValueError("takes hosts as host:port, with commas between them")
    return found[1].strip("[]"), int(found[2] or port)


def _path(kind: Kind, path: str) -> tuple[str, str]:
    service, _, database = path.strip("/").partition("/")
    if kind == "cluster":
        if service not in {"", "0"} or database:
            raise ValueError("takes no database but 0 on a cluster")
        return "", "0"
    if not service or not re.fullmatch(r"\d*", database):
        raise ValueError("takes redis+sentinel://host,host/service/0, with the service's name")
    return service, database or "0"
