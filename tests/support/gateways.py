"""Endpoints that answer as no stand-in should."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def gateway(
    status: int, body: str, content_type: str = "application/json"
) -> AsyncIterator[str]:
    """Answer every call the same; yields the base URL. ``{key}`` in the body is the caller's."""

    async def answer(request: web.Request) -> web.Response:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        text = body.replace("{key}", key)
        return web.Response(status=status, text=text, content_type=content_type)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
