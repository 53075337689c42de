"""TLS to a Redis server: its files checked before they are used, its refusals in words."""

import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from weighbridge.errors import SettingsError


def check_files(options: Mapping[str, Any]) -> None:
    """Read the CA, the certificate and its key once, so that a bad file is told by its name.

    Args:
        options: as redis-py calls them: ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``.

    Raises:
        SettingsError: one cannot be read, or the key does not belong to the certificate.
    """
    authority, certificate = options.get("ssl_ca_certs"), options.get("ssl_certfile")
    key = options.get("ssl_keyfile")
    if not (authority or certificate or key):
        return
    context = ssl.create_default_context()
    try:
        if authority:
            context.load_verify_locations(authority)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"WEIGHBRIDGE_REDIS_CA: {authority} is no file of CA certificates in PEM"
            f" ({_reason(error)})"
        ) from None
    if key and not certificate:
        raise SettingsError("WEIGHBRIDGE_REDIS_KEY is set without WEIGHBRIDGE_REDIS_CERT")
    try:
        if certificate:
            context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"WEIGHBRIDGE_REDIS_CERT and WEIGHBRIDGE_REDIS_KEY: {certificate} and"
            f" {key or 'the key in it'} are no certificate in PEM and its unencrypted key"
            f" ({_reason(error)})"
        ) from None


def tls_refusal(error: BaseException) -> str | None:
    """Say in a line why TLS failed, if that is what is behind an error."""
    found = next((cause for cause in _chain(error) if isinstance(cause, ssl.SSLError)), None)
    if found is None:
        return None
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"the Redis server's certificate is not accepted: {_verification(found)}"
    reason = (found.reason or "").upper()
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return (
            "the Redis server asks for a client certificate: set WEIGHBRIDGE_REDIS_CERT and"
            " WEIGHBRIDGE_REDIS_KEY to the files of one that its CA signed"
        )
    if "ALERT" in reason:
        said = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return f"the Redis server does not accept our client certificate ({said})"
    return (
        f"TLS with the Redis server fails ({_reason(found)}); does it speak TLS on this port, and"
        " is the URL's scheme right?"
    )


def _verification(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if "self-signed" in said or "local issuer" in said:
        return f"{said}; WEIGHBRIDGE_REDIS_CA must name the file of the CA that signed it"
    if "mismatch" in said or "not valid for" in said:
        return f"{said}; the URL must name the server as its certificate does"
    return said


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return getattr(error, "strerror", None) or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _no_password() -> str:
    """Keep OpenSSL from asking for one on the terminal."""
    raise ValueError("the key is encrypted")
