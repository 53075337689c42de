"""The event loop's clock, without the search for the backend in use.

``anyio.current_time`` gives the same time ten times as slowly, and each job asks for it often.
"""

from asyncio import get_running_loop


def loop_time() -> float:
    """Return the present by the running loop's clock, in seconds."""
    return get_running_loop().time()
