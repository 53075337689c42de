"""A stand-in for the count_tokens endpoint: a real HTTP server that answers with estimates.

It mirrors the API's validation, errors, rate limit and headers, breaks on demand, and keeps a
ledger of every attempt. ``weighbridge sandbox`` serves it; the demo and the tests run it inside.
"""

from weighbridge_worker.sandbox.faults import Fault
from weighbridge_worker.sandbox.ledger import Attempt
from weighbridge_worker.sandbox.server import Sandbox, sandbox, serve
from weighbridge_worker.sandbox.settings import SandboxSettings

__all__ = ["Attempt", "Fault", "Sandbox", "SandboxSettings", "sandbox", "serve"]
