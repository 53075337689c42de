"""Who asks: a tenant by its token, within its own rate; or refused.

Without a tokens file the gateway answers whoever reaches its loopback address. Then it refuses what
a browser sends for another site's page: by the ``Origin``, and by a ``Host`` that is no loopback
one, which is what a name that was bound to 127.0.0.1 leaves behind.
"""

from typing import Final
from urllib.parse import urlsplit

from aiolimiter import AsyncLimiter
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from weighbridge_worker.gateway.api_errors import (
    FOREIGN_PAGE,
    NO_TOKEN,
    OPERATORS_ONLY,
    WRONG_TOKEN,
    ApiError,
)
from weighbridge_worker.gateway.settings import is_loopback
from weighbridge_worker.gateway.tenants import EVERYBODY, Tenant, Tenants

_BEARER: Final = b"bearer "


class Access:
    """Finds the tenant of each request to the apps that it guards."""

    def __init__(self, tenants: Tenants | None) -> None:
        self._tenants = tenants
        self._limiters: dict[str, AsyncLimiter] = {}

    def guard(self, app: ASGIApp) -> ASGIApp:
        """Let only tenants through to an app; ``request.state.tenant`` is who asks.

        ``request.state.limiter`` is what bounds the tenant's rate, or None.
        """

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            tenant = self._admit(scope)
            scope["state"]["tenant"] = tenant
            scope["state"]["limiter"] = (
                None if tenant.rate is None else await self._keep_rate(tenant, tenant.rate)
            )
            await app(scope, receive, send)

        return guarded

    def _admit(self, scope: Scope) -> Tenant:
        if self._tenants is None:
            _refuse_foreign_pages(scope)
            return EVERYBODY
        token = _token(scope)
        if not token:
            raise NO_TOKEN
        tenant = self._tenants.find(token)
        if tenant is None:
            raise WRONG_TOKEN
        return tenant

    async def _keep_rate(self, tenant: Tenant, rate: int) -> AsyncLimiter:
        limiter = self._limiters.get(tenant.name)
        if limiter is None:
            # What a second brings may come at once, never less than one request.
            limiter = AsyncLimiter(max(1.0, rate / 60), max(1.0, 60 / rate))
            self._limiters[tenant.name] = limiter
        if not limiter.has_capacity():
            raise ApiError(
                429,
                f"this token may ask {rate:,} times a minute",
                code="tenant_rate",
                retry_after_s=60 / rate,
            )
        await limiter.acquire()
        return limiter


def require_operator(request: Request) -> None:
    """Refuse all but operators.

    Raises:
        ApiError: the tenant is none.
    """
    if not request.state.tenant.operator:
        raise OPERATORS_ONLY


def _token(scope: Scope) -> bytes:
    """Read the token from either of the headers that the API takes it in."""
    head = dict(scope["headers"])
    token: bytes = head.get(b"x-api-key", b"")
    if not token:
        given = head.get(b"authorization", b"")
        token = given[7:].strip() if given[:7].lower() == _BEARER else b""
    return token


def _refuse_foreign_pages(scope: Scope) -> None:
    head = dict(scope["headers"])
    host = head.get(b"host", b"").decode("latin-1")
    origin = head.get(b"origin", b"").decode("latin-1")
    try:
        named = urlsplit(f"//{host}").hostname or ""
        foreign = bool(origin) and urlsplit(origin).netloc != host
    except ValueError:
        raise FOREIGN_PAGE from None
    if foreign or not is_loopback(named):
        raise FOREIGN_PAGE
