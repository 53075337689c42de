"""The dashboard's files: its own alone, under a policy that allows no others."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import aiohttp
import pytest
from support.gateway_under_test import running_gateway, tokens_file

from weighbridge_worker.gateway.dashboard import ASSETS, PAGE

FOLDER = Path(str(files("weighbridge_worker.gateway.dashboard")))
UPLOT = FOLDER / "uplot"


def texts(*endings: str) -> dict[str, str]:
    """Read the page's own files, without what stands under ``uplot/``."""
    return {
        path.name: path.read_text()
        for path in FOLDER.iterdir()
        if path.suffix in {f".{ending}" for ending in endings}
    }


@pytest.mark.asyncio
async def test_the_page_is_public_and_its_policy_is_strict(redis_url: str, tmp_path: Path) -> None:
    answers = {}
    async with (
        running_gateway(redis_url, pool=False, tokens_file=tokens_file(tmp_path)) as gateway,
        aiohttp.ClientSession(gateway.base_url) as session,
    ):
        for path in ("/", *(f"/dashboard/{name}" for name in ASSETS)):
            async with session.get(path) as response:
                assert response.status == 200, path
                answers[path] = response
        etag = answers["/"].headers["etag"]
        async with session.get("/", headers={"if-none-match": etag}) as again:
            assert (again.status, await again.read()) == (304, b"")
        for path in ("/dashboard/", "/dashboard/../service.py", "/dashboard/__init__.py"):
            async with session.get(path) as missing:
                assert missing.status == 404, path
    for path, answer in answers.items():
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "unsafe" not in policy
        assert "*" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
    kinds = {path: answer.content_type for path, answer in answers.items()}
    assert kinds["/"] == "text/html"
    assert kinds["/dashboard/main.js"] == "text/javascript"
    assert kinds["/dashboard/theme.css"] == "text/css"


def test_every_file_of_the_page_is_served() -> None:
    there = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*")
        if path.suffix in {".css", ".js", ".svg", ".html"}
    }
    assert there == {PAGE, *ASSETS}


def test_nothing_stands_inline_and_nothing_comes_from_elsewhere() -> None:
    page = (FOLDER / PAGE).read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(re.fullmatch(r"#main|/dashboard/[\w./]+", link) for link in links)
    for name, text in texts("css", "js", "html").items():
        assert not re.search(r"(https?:)?//[a-z]+\.", text), name
        assert "@import" not in text
        assert "innerHTML" not in text


def test_uplot_is_the_version_that_its_folder_says() -> None:
    lines = [line.split() for line in (UPLOT / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert set(sums) == {path.name for path in UPLOT.iterdir()} - {"SHA256SUMS", "README.md"}
    for name, digest in sums.items():
        assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == digest, name
    assert "(v1.6.32)" in (UPLOT / "uPlot.iife.min.js").read_text()[:100]
    assert "1.6.32" in (UPLOT / "README.md").read_text()
    assert "The MIT License" in (UPLOT / "LICENSE").read_text()
