"""What the gateway is measured against: starlette and uvicorn, answering a constant."""

import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def answer(_request: Request) -> Response:
    """Answer without reading the body."""
    return Response(b'{"input_tokens":42}', media_type="application/json")


def main() -> None:
    """Serve on a free port, and print it."""
    app = Starlette(routes=[Route("/v1/messages/count_tokens", answer, methods=["POST"])])
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", access_log=False, log_level="critical"
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
