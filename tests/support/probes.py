"""Asks a worker's probes, as an orchestrator does."""

import http.client
import json
from typing import Any


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """Ask a worker's probe; status 0 while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except ConnectionError:
        return 0, {}
    finally:
        connection.close()
