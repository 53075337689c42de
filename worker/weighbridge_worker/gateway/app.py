"""All endpoints behind one door.

An endpoint's module has ``routes(gateway)``. Those in ``GUARDED`` are asked with a token, and find
who asks in ``request.state.tenant``; those in ``PUBLIC`` by anybody.
"""

from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from weighbridge_worker.gateway import (
    count_tokens,
    counts,
    dashboard,
    dead_letters,
    health,
    jobs,
    live,
    metrics,
    openapi,
)
from weighbridge_worker.gateway.access import Access
from weighbridge_worker.gateway.api_errors import ApiError
from weighbridge_worker.gateway.frame import Frame
from weighbridge_worker.gateway.service import Gateway
from weighbridge_worker.gateway.traced import Traced

GUARDED: Final[tuple[Callable[[Gateway], list[BaseRoute]], ...]] = (
    count_tokens.routes,
    counts.routes,
    jobs.routes,
    live.routes,
    dead_letters.routes,
    metrics.routes,
)
PUBLIC: Final[tuple[Callable[[Gateway], list[BaseRoute]], ...]] = (
    health.routes,
    dashboard.routes,
    openapi.routes,
)


def build_app(gateway: Gateway) -> Starlette:
    """Make the ASGI application."""
    guarded = [route for routes in GUARDED for route in routes(gateway)]
    public = [route for routes in PUBLIC for route in routes(gateway)]
    _guard(guarded, Access(gateway.tenants))
    direct = _direct(guarded)
    app = Starlette(
        routes=[*guarded, *public],
        middleware=[
            Middleware(Traced, tracer=gateway.tracer, direct=direct),
            Middleware(Frame, direct=direct, tally=gateway.tally, log=gateway.log),
        ],
        exception_handlers={HTTPException: _unrouted},
    )
    # A redirected POST would arrive without its body or as a GET.
    app.router.redirect_slashes = False
    return app


def _guard(routes: Sequence[BaseRoute], access: Access) -> None:
    for route in routes:
        if not isinstance(route, Route | Mount):
            raise TypeError(f"{route!r} cannot be guarded")
        route.app = access.guard(route.app)


def _direct(routes: Sequence[BaseRoute]) -> dict[str, ASGIApp]:
    """Find what takes POST alone, under a path without parameters."""
    return {
        route.path: route.app
        for route in routes
        if isinstance(route, Route) and route.methods == {"POST"} and "{" not in route.path
    }


async def _unrouted(_request: Request, error: Exception) -> NoReturn:
    """Turn what the router says into an error in the API's shape."""
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    raise ApiError(error.status_code, error.detail, headers=error.headers)
