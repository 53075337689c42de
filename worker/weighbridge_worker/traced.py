"""An executor and a counter whose work is traced."""

from weighbridge_worker.calls import Counter, Tokens
from weighbridge_worker.executor import Decision, Executor, HeldLease
from weighbridge_worker.spans import Spans, note_answer, note_decision, note_failure


def traced_counter(counter: Counter, spans: Spans | None) -> Counter:
    """Have a counter traced, if anything is."""
    return counter if spans is None else TracedCounter(counter, spans)


def traced_executor(executor: Executor, spans: Spans | None) -> "Executor | TracedExecutor":
    """Have an executor traced, if anything is."""
    return executor if spans is None else TracedExecutor(executor, spans)


class TracedExecutor:
    """Passes leases on to an executor, each within a span."""

    def __init__(self, executor: Executor, spans: Spans) -> None:
        self._executor = executor
        self._spans = spans

    async def decide(self, held: HeldLease) -> Decision:
        """Bring one lease to its decision."""
        with self._spans.job(held.lease) as span:
            decision = await self._executor.decide(held)
            note_decision(span, decision)
            return decision


class TracedCounter:
    """Passes calls on to a counter, each within a span."""

    def __init__(self, counter: Counter, spans: Spans) -> None:
        self._counter = counter
        self._spans = spans

    async def count(self, body: bytes, betas: tuple[str, ...]) -> Tokens:
        """Make one call; raises what the counter raises."""
        with self._spans.call() as span:
            try:
                tokens = await self._counter.count(body, betas)
            except Exception as error:
                note_failure(span, error)
                raise
            note_answer(span, tokens)
            return tokens
