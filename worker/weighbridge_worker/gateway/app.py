"""All endpoints behind one door.

An endpoint's module has ``routes(gateway)``. Those in ``GUARDED`` are asked with a token, and find
who asks in ``request.state.tenant``; those in ``PUBLIC`` by anybody.
"""

from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route

from weighbridge_worker.gateway import count_tokens, counts, health, jobs, openapi
from weighbridge_worker.gateway.access import Access
from weighbridge_worker.gateway.frame import Frame, exception_handlers
from weighbridge_worker.gateway.service import Gateway

GUARDED: Final[tuple[Callable[[Gateway], list[BaseRoute]], ...]] = (
    count_tokens.routes,
    counts.routes,
    jobs.routes,
)
PUBLIC: Final[tuple[Callable[[Gateway], list[BaseRoute]], ...]] = (
    health.routes,
    openapi.routes,
)


def build_app(gateway: Gateway) -> Starlette:
    """Make the ASGI application; the first of the guarded routes costs least to find."""
    access = Access(gateway.tenants)
    guarded = [route for routes in GUARDED for route in routes(gateway)]
    for route in guarded:
        if not isinstance(route, Route | Mount):
            raise TypeError(f"{route!r} cannot be guarded")
        route.app = access.guard(route.app)
    app = Starlette(
        routes=[*guarded, *(route for routes in PUBLIC for route in routes(gateway))],
        middleware=[Middleware(Frame, tally=gateway.tally, log=gateway.log)],
        exception_handlers=exception_handlers(gateway.log),
    )
    # A redirected POST would arrive without its body or as a GET.
    app.router.redirect_slashes = False
    return app
