"""Rows of figures: their medians and spread as a Markdown table, as JSON, as a page of plots."""

import argparse
import html
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]
BAR_PX = 420


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a figure's name in the rows, its heading, how it is written."""

    name: str
    heading: str
    form: str = ",.0f"
    spread: bool = False


@dataclass(slots=True)
class Report:
    """One benchmark's rows: many runs of a few subjects."""

    title: str
    columns: Sequence[Column]
    rows: list[Row] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        """The subjects, in the order in which they came."""
        return list(dict.fromkeys(row["subject"] for row in self.rows))

    def values(self, subject: str, name: str) -> list[float]:
        """All of a subject's values of one figure."""
        return [row[name] for row in self.rows if row["subject"] == subject and name in row]

    def median(self, subject: str, name: str) -> float | None:
        """Their median, or None if there are none."""
        values = self.values(subject, name)
        return statistics.median(values) if values else None

    def table(self) -> str:
        """Write the medians, with the least and the most where a column asks for them."""
        headings = ["", "runs", *(column.heading for column in self.columns), "load", "steal"]
        lines = [f"**{self.title}**", "", "| " + " | ".join(headings) + " |"]
        lines.append("|---" * len(headings) + "|")
        for subject in self.subjects:
            cells = [subject, str(sum(row["subject"] == subject for row in self.rows))]
            cells += [self._cell(subject, column) for column in self.columns]
            cells += [self._cell(subject, Column("load", "", ".1f"))]
            cells += [self._cell(subject, Column("steal", "", ".1%"))]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _cell(self, subject: str, column: Column) -> str:
        values = self.values(subject, column.name)
        if not values:
            return "-"
        text = format(statistics.median(values), column.form)
        if column.spread and len(values) > 1:
            text += f" ({min(values):{column.form}}-{max(values):{column.form}})"
        return text

    def page(self) -> str:
        """Write a page with one plot a column, and the table's figures beside the bars."""
        plots = "\n".join(self._plot(column) for column in self.columns)
        return (
            f"<!doctype html><meta charset=utf-8><title>{html.escape(self.title)}</title>"
            "<style>body{font:14px sans-serif;margin:2em}text{font-size:12px}</style>"
            f"<h1>{html.escape(self.title)}</h1>\n{plots}\n<pre>{html.escape(self.table())}</pre>\n"
        )

    def _plot(self, column: Column) -> str:
        medians = [(each, self.median(each, column.name)) for each in self.subjects]
        longest = max((value for _, value in medians if value), default=1.0)
        bars = []
        for index, (subject, value) in enumerate(medians):
            y, width = 24 * index, BAR_PX * (value or 0.0) / longest
            bars.append(
                f'<text x="0" y="{y + 15}">{html.escape(subject)}</text>'
                f'<rect x="190" y="{y + 2}" width="{width:.1f}" height="17" fill="#4a7"/>'
                f'<text x="{196 + width:.1f}" y="{y + 15}">'
                f"{html.escape(self._cell(subject, column))}</text>"
            )
        return (
            f"<h2>{html.escape(column.heading)}</h2>"
            f'<svg width="820" height="{24 * len(medians)}">{"".join(bars)}</svg>'
        )


def parser(about: str, *, rounds: int = 3) -> argparse.ArgumentParser:
    """Make a parser of what every benchmark takes."""
    made = argparse.ArgumentParser(description=about)
    made.add_argument("--rounds", type=int, default=rounds, help="runs of each subject")
    made.add_argument("--json", type=Path, help="write every run here too")
    made.add_argument("--html", type=Path, help="write a page of plots here too")
    return made


def publish(report: Report, options: argparse.Namespace) -> None:
    """Print the table, and write the files that were asked for."""
    print(report.table(), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"title": report.title, "runs": report.rows}, indent=1))
    if options.html:
        options.html.write_text(report.page())
