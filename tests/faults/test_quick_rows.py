"""Faults caused for real, a few seconds each; ``make faults`` causes them all at full size."""

from pathlib import Path
from typing import Any

import pytest
from faults.report import FaultReport
from faults.rows import ROWS, Row
from faults.stage import Run

SEED = 20_261_125
QUICK = (1, 4, 6, 7, 9, 20, 21, 22, 25, 28, 29, 34)
"""Rows that end by conditions alone, however slow the machine."""


@pytest.mark.asyncio
@pytest.mark.timeout(600)  # as long as a row's own patience
@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.scenario.__name__) for row in ROWS if row.number in QUICK],
)
async def test_a_fault_has_its_promised_outcome(row: Row, tmp_path: Path) -> None:
    report = await row.scenario(Run(tmp_path, row.quick, SEED))
    assert report.kept, report.line()
    assert report.number == row.number


def test_every_row_of_the_table_has_its_scenario() -> None:
    assert [row.number for row in ROWS] == list(range(1, 36))


def test_a_report_is_one_line_that_names_what_broke() -> None:
    report = FaultReport(1, "x", tried=10_000, lost=1, seed=7, broken=("a set is not empty",))
    assert not report.kept
    assert "\n" not in report.line()
    for word in ("tried 10,000", "lost 1", "seed 7", "BROKEN: a set is not empty"):
        assert word in report.line()


@pytest.mark.parametrize("broken", [{"lost": 1}, {"wrong": 1}, {"over_limit": 1}])
def test_a_figure_above_zero_breaks_the_promise(broken: dict[str, Any]) -> None:
    assert FaultReport(1, "x", tried=1).kept
    assert not FaultReport(1, "x", tried=1, **broken).kept
