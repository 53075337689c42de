"""TLS with a private CA and client certificates, on a real server that asks for them."""

import datetime
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import trustme
from support.own_server import own_server
from support.redis_server import server_binaries
from support.sandbox_pool import sandbox_pool
from support.topologies import free_ports

from weighbridge import Client, QueueSettings, QueueUnreachable, SettingsError
from weighbridge.connection import connect

pytestmark = pytest.mark.asyncio

PAYLOAD = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "Hello"}]}


@cache
def server_with_tls() -> Path | None:
    """Find a server that was built with TLS; the packaged one was not."""
    for binary in server_binaries():
        linked = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
        if "libssl" in linked.stdout:
            return binary
    return None


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a private CA, and of what it signed."""

    folder: Path
    authority: trustme.CA

    @property
    def ca(self) -> str:
        return self._written("ca", [self.authority.cert_pem])

    def issue(self, name: str, *identities: str, expired: bool = False) -> str:
        """Sign a certificate; its file holds the key as well."""
        ended = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if expired else None
        leaf = self.authority.issue_cert(*identities, common_name=name, not_after=ended)
        return self._written(name, [leaf.private_key_pem, *leaf.cert_chain_pems])

    def _written(self, name: str, blobs: list[trustme.Blob]) -> str:
        path = self.folder / f"{name}.pem"
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
        return str(path)


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """Make a CA."""
    return Certificates(tmp_path, trustme.CA())


Start = Callable[[str], str]


@pytest.fixture
def start(tmp_path: Path, certificates: Certificates) -> Iterator[Start]:
    """Return what starts a server with a certificate, and gives its URL."""
    binary = server_with_tls()
    if binary is None:
        pytest.skip("no Redis or Valkey server here was built with TLS")
    [port] = free_ports(1)
    running = []

    def run(certificate: str) -> str:
        arguments = (
            f"--tls-port {port} --tls-cert-file {certificate} --tls-key-file {certificate}"
            f" --tls-ca-cert-file {certificates.ca} --tls-auth-clients yes"
        )
        context = own_server(tmp_path / "server", arguments, binary=binary)
        context.__enter__()
        running.append(context)
        return f"rediss://127.0.0.1:{port}/0"

    yield run
    for context in running:
        context.__exit__(None, None, None)


async def refusal(settings: QueueSettings) -> str:
    """Connect in vain."""
    with pytest.raises(QueueUnreachable) as caught:
        async with Client.connect(settings=settings):
            pass
    line = str(caught.value)
    assert "\n" not in line
    return line


async def test_a_private_ca_and_a_client_certificate_work(
    start: Start, certificates: Certificates
) -> None:
    url = start(certificates.issue("server", "127.0.0.1"))
    own = certificates.issue("client", "client")
    settings = QueueSettings(redis_url=url, redis_ca=certificates.ca, redis_cert=own, redis_key=own)
    async with sandbox_pool(settings.redis_url) as (wb, _):
        assert (await wb.count(PAYLOAD)).input_tokens > 0


async def test_a_server_of_another_ca_is_refused(start: Start, certificates: Certificates) -> None:
    url = start(certificates.issue("server", "127.0.0.1"))
    said = await refusal(QueueSettings(redis_url=url))
    assert "certificate is not accepted" in said
    assert "WEIGHBRIDGE_REDIS_CA" in said


async def test_an_expired_server_is_refused(start: Start, certificates: Certificates) -> None:
    url = start(certificates.issue("server", "127.0.0.1", expired=True))
    said = await refusal(QueueSettings(redis_url=url, redis_ca=certificates.ca))
    assert "certificate is not accepted: certificate has expired" in said


async def test_a_wrong_host_name_is_refused(start: Start, certificates: Certificates) -> None:
    url = start(certificates.issue("server", "redis.example.org"))
    said = await refusal(QueueSettings(redis_url=url, redis_ca=certificates.ca))
    assert "127.0.0.1" in said
    assert "the URL must name the server as its certificate does" in said


async def test_a_missing_client_certificate_is_said(
    start: Start, certificates: Certificates
) -> None:
    url = start(certificates.issue("server", "127.0.0.1"))
    said = await refusal(QueueSettings(redis_url=url, redis_ca=certificates.ca))
    assert "asks for a client certificate: set WEIGHBRIDGE_REDIS_CERT" in said


@pytest.mark.parametrize("kind", ["expired", "foreign"])
async def test_a_wrong_client_certificate_is_said(
    start: Start, certificates: Certificates, kind: str, tmp_path: Path
) -> None:
    url = start(certificates.issue("server", "127.0.0.1"))
    if kind == "expired":
        own = certificates.issue("client", "client", expired=True)
    else:
        (tmp_path / "foreign").mkdir()
        own = Certificates(tmp_path / "foreign", trustme.CA()).issue("client", "client")
    said = await refusal(
        QueueSettings(redis_url=url, redis_ca=certificates.ca, redis_cert=own, redis_key=own)
    )
    assert "does not accept our client certificate" in said


async def test_bad_files_are_told_by_name(tmp_path: Path, certificates: Certificates) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    own = certificates.issue("client", "client")
    for query, named in [
        (f"ssl_ca_certs={garbage}", "WEIGHBRIDGE_REDIS_CA"),
        (f"ssl_certfile={garbage}", "WEIGHBRIDGE_REDIS_CERT"),
        (f"ssl_keyfile={own}", "WEIGHBRIDGE_REDIS_KEY"),
        (f"ssl_certfile={own}&ssl_keyfile={garbage}", "WEIGHBRIDGE_REDIS_KEY"),
    ]:
        with pytest.raises(SettingsError, match=named):
            connect(f"rediss://localhost/0?{query}")
