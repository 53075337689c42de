"""What a person sees of a pruning: what was weighed, what went, and how sure that is."""

import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from weighbridge.uses.prune import Candidate, PruneResult
from weighbridge_worker.cli.figures import dollars, tokens


def print_pruned(result: PruneResult, *, to_stderr: bool) -> None:
    """Print the histories that count, and a sentence."""
    console = Console(file=sys.stderr if to_stderr else sys.stdout, highlight=False)
    rows = list(_rows(result))
    if rows:
        console.print(_table(result, rows))
        console.print()
    for sentence in _sentences(result):
        console.print(sentence, markup=False, soft_wrap=True)


def _table(result: PruneResult, rows: list[tuple[str, Candidate, str]]) -> Table:
    table = Table("history", box=None, header_style="bold", pad_edge=False)
    for name in ("turns", "messages", "input tokens", *(["USD"] if _priced(result) else [])):
        table.add_column(name, justify="right")
    table.add_column("")
    for name, candidate, remark in rows:
        weighed = tokens(candidate.input_tokens, estimated=result.source == "estimate")
        cells = [
            f"{result.turns - candidate.dropped_turns:,}",
            f"{result.messages - candidate.dropped_messages:,}",
            "too large" if candidate.input_tokens is None else weighed,
        ]
        if _priced(result):
            cells.append(dollars(candidate.usd, estimated=result.source == "estimate"))
        table.add_row(name, *cells, remark)
    return table


def _priced(result: PruneResult) -> bool:
    return result.price_version is not None


def _rows(result: PruneResult) -> Iterator[tuple[str, Candidate, str]]:
    limit, target = f"{result.limit:,}", f"{result.target:,}"
    chosen = result.chosen
    if result.whole is not None and result.whole != chosen:
        yield "whole", result.whole, f"over {limit}"
    if chosen is None:
        return
    if not result.fits:
        yield "shortest", chosen, f"over {limit}"
        return
    if result.longer is not None and result.longer != result.whole:
        yield "a turn more", result.longer, f"over {target}"
    within = target if result.dropped_turns and _within(chosen, result.target) else limit
    yield "kept", chosen, f"within {within}"


def _within(candidate: Candidate, bound: int) -> bool:
    return candidate.input_tokens is not None and candidate.input_tokens <= bound


def _sentences(result: PruneResult) -> Iterator[str]:
    if result.message is not None:
        yield f"No count: {result.code}: {result.message}."
    elif not result.fits:
        yield "It does not fit: what must stay is over the limit by itself."
    elif result.dropped_turns:
        yield (
            f"Dropped the oldest {result.dropped_turns:,} of {result.turns:,} turns"
            f" ({result.dropped_messages:,} messages)."
        )
    else:
        yield "It fits as it is; nothing was dropped."
    if result.dropped_instructions:
        yield (
            f"{result.dropped_instructions:,} system messages went with them: their instructions"
            " no longer hold. Repeat in system what must go on."
        )
    used, calls, hits = result.tally.counts_used, result.tally.api_calls, result.tally.cache_hits
    yield f"{used:,} counts: {calls:,} counted anew, {hits:,} from the cache."
    if result.price_version is not None:
        yield f"Prices: {result.price_version}."
