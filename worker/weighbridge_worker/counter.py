"""The only file that imports the SDK: one attempt a call, its errors mapped to ours once."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import httpx2
import msgspec
from anthropic import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncAnthropic,
    DefaultAioHttpClient,
)

from weighbridge.loop_clock import loop_time
from weighbridge_worker.calls import (
    SANDBOX_HEADER,
    CallError,
    KeyRefused,
    PassingFailure,
    PermanentFailure,
    Throttled,
    Tokens,
    Trial,
)
from weighbridge_worker.logs import hold_libraries
from weighbridge_worker.settings import ANTHROPIC_VERSION, WorkerSettings

PATH = "/v1/messages/count_tokens"

RATE_HEADERS = "anthropic-ratelimit-"
"""What these headers' names begin with (https://platform.claude.com/docs/en/api/rate-limits); it is
not documented whether counting answers with them."""

_SANDBOX = SANDBOX_HEADER.encode()
_LIMIT = f"{RATE_HEADERS}requests-limit".encode()
_REMAINING = f"{RATE_HEADERS}requests-remaining".encode()

COUNTING_BETA = "token-counting-2024-11-01"
"""What the SDK itself adds where betas are named (2.12, resources/beta/messages/messages.py)."""

KEEP_ALIVE_S = 60.0
"""The transport's own 5 s would make a slow pool shake hands for every call."""

PIECE_BYTES = 256 * 1024
"""What of a body is handed to the transport at once; it holds up the loop to copy megabytes."""

WARM_S = 5.0
"""How long opening a connection may hold the start up."""

DEFAULT_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0

PERMANENT_CODES = {
    400: "invalid_request",
    404: "not_found",
    413: "payload_too_large",
    422: "invalid_request",
}
HOLD_CODES = frozenset(
    {"enforced_spend_limit_reached", "contract_spend_limit_reached", "organization_on_hold"}
)
RAMP_CODE = "ramp_limit_exceeded"


class AnthropicCounter:
    """Counts through the SDK, sending the stored bytes as they were hashed."""

    def __init__(self, client: AsyncAnthropic, *, deadline_s: float) -> None:
        self._client = client
        # Whole: the SDK takes a path apart and puts it together anew for every call.
        self._url = str(client.base_url).rstrip("/") + PATH
        self._deadline_s = deadline_s

    async def warm(self, connections: int) -> None:
        """Open connections before the first slot; what is answered does not matter."""

        async def open_one() -> None:
            with anyio.move_on_after(WARM_S), suppress(APIError):
                await self._client.get("/", cast_to=httpx2.Response)

        async with anyio.create_task_group() as tasks:
            for _ in range(connections):
                tasks.start_soon(open_one)

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Make one attempt, within a total deadline: the SDK's own time-out is one a read."""
        with _our_errors():
            return _read(await self._post(body, betas))

    async def probe(self, body: bytes) -> Trial:
        """Make one attempt, and tell all that its answer shows of the endpoint.

        Raises:
            PassingFailure: no answer came, or one that makes no sense.
        """
        failure = None
        began = anyio.current_time()
        with _our_errors():
            try:
                response = await self._post(body, ())
            except APIStatusError as error:
                response, failure = error.response, _status_error(error)
        return Trial(
            status=response.status_code,
            latency_s=anyio.current_time() - began,
            tokens=None if failure else _read(response),
            failure=failure,
            limit=_rate(_headers_of(response).get(_LIMIT), 0),
            rate_headers={
                name: value
                for name, value in response.headers.items()
                if name.startswith(RATE_HEADERS)
            },
            retry_after=response.headers.get("retry-after", ""),
        )

    async def organisation_limit(self, admin_key: str) -> int:
        """Ask the Admin API for the organisation's limit for counting, in calls a minute.

        A workspace may have a lower one of its own
        (https://platform.claude.com/docs/en/manage-claude/rate-limits-api).

        Raises:
            CallError: it does not say; the code tells why.
        """
        limits = self._client.copy(api_key=admin_key).organization.rate_limits
        with _our_errors():
            with anyio.fail_after(self._deadline_s):
                answer = await limits.with_raw_response.list(
                    group_type="token_count",
                    extra_headers={"anthropic-version": ANTHROPIC_VERSION},
                )
                return _requests_per_minute(await answer.read())

    async def _post(self, body: bytes, betas: tuple[str, ...]) -> httpx2.Response:
        headers, content = _headers(betas), body if len(body) <= PIECE_BYTES else _in_pieces(body)
        if content is not body:  # or it would be sent chunked
            headers["content-length"] = str(len(body))
        # Half the price of fail_after, which looks for its backend three times.
        with anyio.CancelScope(deadline=loop_time() + self._deadline_s):
            return await self._client.post(
                self._url,
                content=content,
                cast_to=httpx2.Response,
                options={"headers": headers},
            )
        raise TimeoutError


@asynccontextmanager
async def anthropic_counter(settings: WorkerSettings) -> AsyncIterator[AnthropicCounter]:
    """Open the SDK's client with its fastest transport, and close it."""
    hold_libraries()
    limits = httpx2.Limits(
        max_connections=settings.concurrency,
        max_keepalive_connections=settings.concurrency,
        keepalive_expiry=KEEP_ALIVE_S,
    )
    async with AsyncAnthropic(
        api_key=settings.api_key or None,
        auth_token=None if settings.api_key else settings.auth_token or None,  # it takes one
        base_url=settings.base_url,
        max_retries=0,
        timeout=settings.call_deadline_s,
        http_client=DefaultAioHttpClient(limits=limits, timeout=settings.call_deadline_s),
    ) as client:
        yield AnthropicCounter(client, deadline_s=settings.call_deadline_s)


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]


def _headers(betas: tuple[str, ...]) -> dict[str, str]:
    headers = {"content-type": "application/json", "anthropic-version": ANTHROPIC_VERSION}
    if betas:
        headers["anthropic-beta"] = ",".join(dict.fromkeys((*betas, COUNTING_BETA)))
    return headers


def _read(response: httpx2.Response) -> Tokens:
    """Accept a non-negative integer and nothing else: a 200 may be cut short, or not be JSON."""
    try:
        tokens = msgspec.json.decode(response.content).get("input_tokens")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        tokens = None
    if type(tokens) is not int or tokens < 0:
        raise PassingFailure("bad_response", "the endpoint answered 200 without a count")
    headers = _headers_of(response)
    return Tokens(
        tokens,
        "estimate" if _SANDBOX in headers else "api",
        limit=_rate(headers.get(_LIMIT), 0),
        remaining=_rate(headers.get(_REMAINING), -1),
    )


def _headers_of(response: httpx2.Response) -> dict[bytes, bytes]:
    """Give the headers by their names: each look into the transport's own walks all of them."""
    return {name.lower(): value for name, value in response.headers.raw}


class _Limit(msgspec.Struct):
    type: str
    value: int


class _LimitGroup(msgspec.Struct):
    limits: list[_Limit]


class _LimitPage(msgspec.Struct):
    data: list[_LimitGroup]


def _requests_per_minute(text: bytes) -> int:
    """Read the Admin API's answer by ourselves: the SDK passes on whatever came."""
    try:
        groups = msgspec.json.decode(text, type=_LimitPage).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        groups = []
    limits = [limit for group in groups for limit in group.limits]
    found = [limit.value for limit in limits if limit.type == "requests_per_minute"]
    if not found or min(found) < 1:
        raise PassingFailure("bad_response", "the Admin API answered 200 without a limit")
    return min(found)


def _rate(text: bytes | None, absent: int) -> int:
    """Read one of the rate-limit headers, which may or may not come."""
    return int(text) if text and re.fullmatch(rb"[0-9]{1,9}", text) else absent


@contextmanager
def _our_errors() -> Iterator[None]:
    """Map what the SDK raises; its exceptions hold the request and are never passed on."""
    try:
        yield
    except (TimeoutError, APITimeoutError):
        raise PassingFailure("timeout", "the endpoint did not answer in time") from None
    except APIStatusError as error:
        raise _status_error(error) from None
    except APIConnectionError:
        raise PassingFailure("connection", "the connection to the endpoint broke") from None
    except APIError:
        raise PassingFailure("bad_response", "the endpoint's answer makes no sense") from None


def _status_error(error: APIStatusError) -> CallError:
    """Map by status and error code, not by class or wording: both change with the SDK."""
    status, message = error.status_code, _message(error)
    if status == 429 or error.error_code in HOLD_CODES:
        code = error.error_code or "rate_limited"
        return Throttled(
            code,
            message,
            retry_after_s=_pause(error.response),
            hold=code if code in HOLD_CODES else "",
            ramp=code == RAMP_CODE,
        )
    if status in {401, 402, 403}:
        return KeyRefused(
            {401: "key_refused", 402: "payment_required"}.get(status, "forbidden"), message
        )
    if status in {408, 409} or status >= 500:
        return PassingFailure("overloaded" if status == 529 else f"http_{status}", message)
    # Any other 4xx tells more of a gateway's set-up than of the payload.
    return PermanentFailure(PERMANENT_CODES.get(status, f"http_{status}"), message)


def _message(error: APIStatusError) -> str:
    """Give the endpoint's own words, without our key: there are gateways that repeat it."""
    message = str(error.api_message or f"HTTP {error.status_code}")
    for header in ("authorization", "x-api-key"):
        if key := error.request.headers.get(header, "").rpartition(" ")[2]:
            message = message.replace(key, "…")
    return message


def _pause(response: httpx2.Response) -> float:
    """Read ``retry-after`` in seconds, clamped; dates, garbage and absence mean one second."""
    text = response.headers.get("retry-after", "")
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        return DEFAULT_PAUSE_S
    return min(max(float(text), DEFAULT_PAUSE_S), MAX_PAUSE_S)
