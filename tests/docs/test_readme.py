"""The README against the code."""

import re
from pathlib import Path

from weighbridge.settings import Option, QueueSettings, options
from weighbridge_worker.gateway.settings import GatewaySettings
from weighbridge_worker.settings import WorkerSettings

KINDS = (QueueSettings, WorkerSettings, GatewaySettings)
README = Path(__file__).parents[2] / "README.md"


def settings_table() -> str:
    """Write the table as the README has it."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    listed = [option for kind in KINDS for option in options(kind)]
    rows += list(dict.fromkeys(row(option) for option in listed))  # some are shared
    return "\n".join(rows)


def row(option: Option) -> str:
    """Write one setting."""
    return f"| `{option.variable}` | {option.default} | {option.meaning} |"


def test_the_settings_table_lists_every_option_as_the_code_has_it() -> None:
    found = re.search(r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", README.read_text(), re.S)
    assert found is not None
    assert found[1] == settings_table()


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
