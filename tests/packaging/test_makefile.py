"""``make`` explains itself."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def _make(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, even where the suite itself runs under ``make test``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_target(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[0].split()
    listed = re.findall(r"^ +make ([a-z-]+) +[A-Z]", _make(root).stdout, re.MULTILINE)
    assert listed == targets


def test_an_old_python_is_refused_in_a_sentence(root: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    result = _make(root, "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert result.returncode != 0
    assert "Weighbridge needs Python 3.11 or newer" in result.stderr
    assert not (tmp_path / "venv").exists()
