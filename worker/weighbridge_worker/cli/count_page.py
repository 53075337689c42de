"""What a count amounts to, as a page for those who decide."""

from weighbridge_worker.cli.page import page, table
from weighbridge_worker.cli.report import Tally, model_columns, model_rows


def count_page(tally: Tally, files: tuple[str, ...]) -> str:
    """Make a self-contained page of tokens, dollars, spread and failures."""
    estimates = " These are offline estimates, not counts." if tally.estimated else ""
    prices = f" Prices: {tally.till.version}." if tally.till else ""
    lead = f"{tally.done:,} payloads of {', '.join(files)}.{estimates}{prices}"
    sections = [table("By model", model_columns(tally), model_rows(tally))]
    if bins := tally.spread.histogram():
        most = max(number for _, number in bins)
        rows = [(name, f"{number:,}") for name, number in bins]
        bars = [number / most for _, number in bins]
        sections.append(table("Sizes", ["input tokens", "payloads"], rows, bars))
        sections.append(_largest(tally))
    if tally.failures:
        failures = [(f"{line.file}:{line.number}", code) for line, code, _ in tally.failures]
        sections.append(table("Failed", ["line", "code"], failures))
    return page("Input tokens", lead, *sections)


def _largest(tally: Tally) -> str:
    largest = tally.spread.largest
    rows = [
        (
            f"{sized.line.file}:{sized.line.number}",
            "" if sized.line.id is None else str(sized.line.id),
            sized.model,
            tally.shown(sized.tokens),
        )
        for sized in largest
    ]
    bars = [sized.tokens / max(1, largest[0].tokens) for sized in largest]
    return table("The largest", ["line", "id", "model", "input tokens"], rows, bars)
