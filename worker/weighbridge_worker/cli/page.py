"""One self-contained page: no script, nothing from any other place, light and dark."""

from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --line: #d9dce1; --bar: #3b6fb6;
  --quiet: #5d636b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ec; --paper: #16181b; --line: #383c42; --bar: #7aa7e8; --quiet: #a4abb4; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0 1rem; color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.bar { width: 40%; text-align: left; }
td.bar span { display: block; height: .8rem; background: var(--bar); border-radius: 2px;
  min-width: 1px; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, lead: str, *sections: str) -> str:
    """Put sections on a page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(lead)}</p>\n" + "\n".join(sections) + "\n</body>\n"
        "</html>\n"
    )


def table(
    heading: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    bars: Sequence[float] | None = None,
) -> str:
    """Make a section of one table.

    Args:
        bars: a share of the longest bar for each row, drawn as a last column.
    """
    head = [*columns, ""] if bars is not None else list(columns)
    lines = [_row("th", head)]
    for index, cells in enumerate(rows):
        drawn = "" if bars is None else _bar(bars[index])
        lines.append(_row("td", cells, drawn))
    body = "\n".join(lines)
    return f'<h2>{escape(heading)}</h2>\n<div class="scroll"><table>\n{body}\n</table></div>'


def _row(kind: str, cells: Sequence[str], drawn: str = "") -> str:
    scope = ' scope="col"' if kind == "th" else ""
    return (
        "<tr>" + "".join(f"<{kind}{scope}>{escape(cell)}</{kind}>" for cell in cells) + drawn
    ) + "</tr>"


def _bar(share: float) -> str:
    if share <= 0:
        return '<td class="bar"></td>'
    return f'<td class="bar"><span style="width:{min(1.0, share):.1%}"></span></td>'
