"""What a metrics text holds, and what the page says that it holds."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parents[2] / "deploy" / "metrics" / "README.md"
ROW = re.compile(r"^\| `(weighbridge_\w+)` \| (\w+) \| (.*?) \|", re.MULTILINE)

ALLOWED_LABELS = {"outcome", "code", "use", "state", "version", "le", "status", "path", "cache"}
"""All have few values, whoever sends what."""


@dataclass(frozen=True)
class Family:
    """A metric as it is told of: its type and its labels."""

    kind: str
    labels: frozenset[str]


def read(text: bytes) -> dict[str, Family]:
    """Read the families of a text that are ours, and assert that each is told of in full."""
    families = {}
    for metric in text_string_to_metric_families(text.decode()):
        if not metric.name.startswith("weighbridge_"):
            continue
        name = metric.name + ("_total" if metric.type == "counter" else "")
        labels = {label for sample in metric.samples for label in sample.labels}
        assert metric.documentation, f"{name} has no HELP"
        assert f"# TYPE {name} {metric.type}\n" in text.decode(), f"{name} has no TYPE"
        assert labels <= ALLOWED_LABELS, f"{name}: {labels - ALLOWED_LABELS}"
        families[name] = Family(metric.type, frozenset(labels - {"le"}))
    return families


def on_the_page(*prefixes: str) -> dict[str, Family]:
    """Read the metrics that the page tells of, those whose names begin with one of these."""
    return {
        name: Family(kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in ROW.findall(PAGE.read_text())
        if name.startswith(prefixes)
    }


def value(text: bytes, sample: str, **labels: str) -> float:
    """Find one sample's value."""
    [found] = [
        one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
        if (one.name, one.labels) == (sample, labels)
    ]
    return found


def check_by_promtool(text: bytes) -> None:
    """Let promtool judge a text; skip where there is none."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (it comes with Prometheus)")
    command = [promtool, "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
