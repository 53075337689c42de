"""The client without an event loop, on a real server with a real worker."""

import gc
import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis
from support.own_server import own_server
from support.pool_threads import pool_thread
from support.pools import Answers
from support.processes import eventually

from weighbridge import Client as AsyncClient
from weighbridge import (
    Counted,
    CountFailed,
    Lane,
    MalformedPayload,
    NotCountable,
    QueueSettings,
    QueueUnreachable,
    ResultTimeout,
    Ticket,
    UnknownJob,
)
from weighbridge.keys import Keys
from weighbridge.loop_thread import NAME
from weighbridge.preparation import RawPayload
from weighbridge.sync import Client
from weighbridge_worker.calls import PermanentFailure
from weighbridge_worker.server import ServerProcess


def payload(text: str) -> dict[str, Any]:
    """Make a payload of one message."""
    return {"model": "claude-test", "messages": [{"role": "user", "content": text}]}


def loop_threads() -> list[threading.Thread]:
    """List the clients' threads that run."""
    return [thread for thread in threading.enumerate() if thread.name == NAME]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def pool_url(redis_url: str, answers: Answers) -> Iterator[str]:
    """Yield the URL of a server with a worker; every client must have ended at the test's end."""
    with pool_thread(redis_url, answers):
        yield redis_url
    assert loop_threads() == []


def test_a_count_comes_back(pool_url: str, answers: Answers) -> None:
    with Client.connect(pool_url) as wb:
        counted = wb.count(payload("hello"))
        again = wb.count(payload("hello"))
    assert counted.input_tokens == again.input_tokens == len(answers.bodies[0])
    assert (counted.cache, again.cache) == ("miss", "hit")


@pytest.mark.parametrize(
    "method", ["submit", "submit_many", "result", "count", "count_many", "cancel"]
)
def test_a_method_takes_what_the_async_clients_takes(method: str) -> None:
    ours, theirs = (
        [(each.name, each.kind, each.default) for each in signature(taken).parameters.values()]
        for taken in (getattr(Client, method), getattr(AsyncClient, method))
    )
    assert ours == theirs


def test_tenants_do_not_share_a_count(pool_url: str) -> None:
    with Client.connect(pool_url) as wb:
        red, blue = (wb.count(payload("a"), partition=tenant) for tenant in ("red", "blue"))
        assert wb.submit(payload("a"), partition="red", producer="p").cache == "hit"
    assert red.digest != blue.digest


def test_a_submit_gives_a_ticket_whose_result_can_be_waited_for(pool_url: str) -> None:
    with Client.connect(pool_url) as wb:
        ticket = wb.submit(payload("later"), lane=Lane.INTERACTIVE)
        assert isinstance(wb.result(ticket), Counted)
        assert isinstance(wb.result(ticket.digest), Counted)
        with pytest.raises(UnknownJob):
            wb.result("0" * 64)


def test_many_are_submitted_by_one_call(pool_url: str) -> None:
    with Client.connect(pool_url) as wb:
        tickets = wb.submit_many(payload(text) for text in ("one", "two"))
        results = [wb.result(ticket) for ticket in tickets if isinstance(ticket, Ticket)]
    assert [type(result) for result in results] == [Counted, Counted]


def test_a_job_can_be_withdrawn(redis_url: str) -> None:
    with Client.connect(redis_url) as wb:
        ticket = wb.submit(payload("never mind"))
        assert wb.cancel(ticket)
        assert not wb.cancel(ticket)


def test_many_payloads_come_back_with_their_places(pool_url: str) -> None:
    texts = [json.dumps(payload(f"number {n}")) for n in range(500)]
    texts[7] = "{"
    with Client.connect(pool_url) as wb:
        items = list(wb.count_many(texts, in_flight=50))
        ordered = list(wb.count_many(texts, ordered=True))
    assert sorted(item.index for item in items) == list(range(500))
    assert [item.index for item in ordered] == list(range(500))
    assert isinstance(ordered[7].outcome, NotCountable)
    assert sum(isinstance(item.outcome, Counted) for item in items) == 499


def test_no_payloads_are_no_items(pool_url: str) -> None:
    with Client.connect(pool_url) as wb:
        assert list(wb.count_many([])) == []


def test_payloads_are_read_in_the_callers_thread_and_no_further_than_in_flight(
    pool_url: str,
) -> None:
    readers, read, taken = set(), 0, 0

    def source() -> Iterator[dict[str, Any]]:
        nonlocal read
        for number in range(100):
            readers.add(threading.current_thread())
            read += 1
            assert read - taken <= 10
            yield payload(f"number {number}")

    with Client.connect(pool_url) as wb:
        for _ in wb.count_many(source(), in_flight=10):
            taken += 1
    assert (taken, readers) == (100, {threading.current_thread()})


def test_an_error_of_the_payloads_source_comes_out(pool_url: str) -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield payload("first")
        raise LookupError("no more rows")

    with Client.connect(pool_url) as wb, pytest.raises(LookupError, match="no more rows"):
        list(wb.count_many(source()))


def test_a_loop_that_is_left_early_withdraws_what_it_was_told_to(redis_url: str) -> None:
    with Client.connect(redis_url) as wb:
        payloads: list[RawPayload] = [payload("a"), b"{"]
        stream = wb.count_many(payloads, withdraw=True)
        assert isinstance(next(stream).outcome, NotCountable)
        stream.close()  # type: ignore[attr-defined]
        ticket = wb.submit(payload("a"))
        assert ticket.cache == "miss"
        assert wb.cancel(ticket)


def test_threads_share_a_client(pool_url: str) -> None:
    with Client.connect(pool_url) as wb, ThreadPoolExecutor(16) as threads:
        counts = list(threads.map(lambda n: wb.count(payload(f"number {n % 20}")), range(200)))
        lots = list(
            threads.map(
                lambda lot: list(wb.count_many([payload(f"{lot} {n}") for n in range(40)])),
                range(5),
            )
        )
        assert len(loop_threads()) == 1
    assert len({counted.digest for counted in counts}) == 20
    assert [len(items) for items in lots] == [40] * 5


def test_threads_that_come_first_together_open_one_connection(pool_url: str) -> None:
    wb = Client.connect(pool_url)
    start = threading.Barrier(8)

    def count(number: int) -> int:
        start.wait(10)
        return wb.count(payload(f"number {number}")).input_tokens

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(count, range(8)))
        assert len(loop_threads()) == 1
    wb.close()


def test_errors_are_those_of_the_async_client(pool_url: str, answers: Answers) -> None:
    with Client.connect(pool_url) as wb:
        with pytest.raises(MalformedPayload):
            wb.count("{")
        answers.gate = anyio.Event()
        with pytest.raises(ResultTimeout):
            wb.count(payload("slow"), timeout_s=0.05)
        answers.gate.set()


def test_a_failure_is_raised_with_its_code(redis_url: str) -> None:
    refusal = PermanentFailure("invalid_request", "no such thing")
    with (
        pool_thread(redis_url, Answers(error=lambda _: refusal)),
        Client.connect(redis_url) as wb,
        pytest.raises(CountFailed) as caught,
    ):
        wb.count(payload("odd"))
    assert caught.value.failure_code == "invalid_request"


def test_a_server_that_is_not_there_is_told_at_once() -> None:
    settings = QueueSettings(redis_url="unix:///nonexistent/r.sock")
    with pytest.raises(QueueUnreachable), Client.connect(settings=settings):
        pass
    with pytest.raises(QueueUnreachable):
        Client.connect(settings=settings).count(payload("hello"))
    assert loop_threads() == []


def test_close_ends_calls_that_wait_and_a_later_call_connects_anew(redis_url: str) -> None:
    wb = Client.connect(redis_url)
    ticket = wb.submit(payload("nobody counts this"))
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(wb.result, ticket, timeout_s=600)
        stream = wb.count_many([payload("nor this")])
        reading = threads.submit(next, stream)
        with redis.Redis.from_url(redis_url) as looker:
            assert eventually(lambda: looker.zcard(Keys().deadlines) == 2)
        wb.close()
        for future in (waiting, reading):
            with pytest.raises(QueueUnreachable, match="was closed"):
                future.result(10)
    assert loop_threads() == []
    assert not wb.cancel(ticket)  # its waiter was the first connection
    wb.close()
    wb.close()


def test_a_client_that_is_let_go_of_ends_its_thread(redis_url: str) -> None:
    wb = Client.connect(redis_url)
    wb.submit(payload("hello"))
    assert len(loop_threads()) == 1
    del wb
    gc.collect()
    assert loop_threads() == []


def test_a_server_that_goes_away_ends_a_loop_over_many_after_what_had_come(
    tmp_path: Path,
) -> None:
    payloads: list[RawPayload] = [b"{", payload("a")]
    with own_server(tmp_path) as server, Client.connect(server.url) as wb:
        stream = wb.count_many(itertools.chain(payloads, _stopping(server)), in_flight=3)
        assert isinstance(next(stream).outcome, NotCountable)
        with pytest.raises(QueueUnreachable):
            next(stream)


def _stopping(server: ServerProcess) -> Iterator[RawPayload]:
    server.stop()
    yield payload("b")
