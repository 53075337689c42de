"""``GET /``: the dashboard, a page and its own files; what it shows comes from ``/v1/live``.

The page holds nothing that is secret, so anybody may load it. It asks no other host for anything,
and its policy lets it run nothing but these files.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from weighbridge_worker.gateway.service import Gateway

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

HEADERS: Final = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-cache",
}

PAGE: Final = "page.html"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
ASSETS: Final = (
    "charts.js",
    "elements.js",
    "icon.svg",
    "layout.css",
    "main.js",
    "panels.js",
    "replay.js",
    "session.js",
    "stream.js",
    "theme.css",
    "words.js",
    "uplot/uPlot.iife.min.js",
    "uplot/uPlot.min.css",
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, held in memory."""

    body: bytes
    media_type: str
    etag: str

    async def answer(self, request: Request) -> Response:
        """Send it, unless the browser has the same."""
        headers = HEADERS | {"etag": self.etag}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        return Response(self.body, media_type=self.media_type, headers=headers)


def read_asset(name: str) -> Asset:
    """Read a file of the page."""
    body = files(__name__).joinpath(name).read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    return Asset(body, TYPES[name[name.rindex(".") :]], f'"{digest[:32]}"')


def routes(_gateway: Gateway) -> list[BaseRoute]:
    """Return the public routes."""
    return [
        Route("/", read_asset(PAGE).answer, name="dashboard"),
        *(Route(f"/dashboard/{name}", read_asset(name).answer, name=name) for name in ASSETS),
    ]
