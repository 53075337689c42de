"""The pytest plugin in a project of somebody else's."""

import os
import sys
from importlib.metadata import entry_points

import pytest

PLUGIN = "weighbridge_worker.pytest_plugin"

COUNTING = """
import anyio
from weighbridge.testing import WeighbridgePool

BODY = {"model": "claude-test", "messages": [{"role": "user", "content": "hello"}]}


def test_without_a_loop(weighbridge_pool: WeighbridgePool) -> None:
    with weighbridge_pool.connect_sync() as wb:
        counted = wb.count(BODY)
    assert (counted.source, counted.cache) == ("estimate", "miss")


def test_with_a_loop_and_nothing_of_the_test_before(weighbridge_pool: WeighbridgePool) -> None:
    async def count() -> None:
        async with weighbridge_pool.connect() as wb:
            counted = await wb.count(BODY)
            assert (counted.source, counted.cache) == ("estimate", "miss")

    anyio.run(count)


def test_through_the_environment(weighbridge_pool: WeighbridgePool, monkeypatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_REDIS_URL", weighbridge_pool.url)
    assert weighbridge_pool.settings.redis_url.startswith("unix://")
"""

UNUSED = """
import sys


def test_nothing_is_imported_for_those_who_do_not_ask() -> None:
    assert "weighbridge_worker.pytest_plugin" in sys.modules
    assert {"weighbridge", "redis", "anyio", "anthropic", "structlog"}.isdisjoint(sys.modules)
"""

ABSENT = """
import sys

sys.modules["anthropic"] = None
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose tests import what these tests do, with the plugin as an install has it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    installed = [point.value for point in entry_points(group="pytest11", name="weighbridge")]
    assert installed in ([PLUGIN], [])  # [] where the tree runs beside an older wheel
    pytester.makeini(f"[pytest]\naddopts = -p {PLUGIN} -W error")
    return pytester


def test_a_project_counts_through_a_pool_of_its_own(project: pytest.Pytester) -> None:
    project.makepyfile(COUNTING)
    result = project.runpytest_subprocess(timeout=90)
    result.assert_outcomes(passed=3)


def test_a_project_that_does_not_use_it_imports_nothing_of_it(project: pytest.Pytester) -> None:
    project.makepyfile(UNUSED)
    project.runpytest_subprocess(timeout=90).assert_outcomes(passed=1)


def test_missing_extras_are_named_with_the_line_that_installs_them(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(ABSENT)
    project.makepyfile(COUNTING)
    result = project.runpytest_subprocess("-k", "without_a_loop", timeout=90)
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["*pip install 'weighbridge[[]worker,local[]]'*"])
