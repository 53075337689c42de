"""The wire contract's page against the code: whatever is in one is in the other."""

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError
from support.own_server import own_server
from support.protocol_page import PAGE, SCHEMAS, first_column, schema, section

import weighbridge
import weighbridge_worker
from weighbridge import errors
from weighbridge.digest import digest_of
from weighbridge.keys import Keys
from weighbridge.payload import check_payload
from weighbridge_worker import intake
from weighbridge_worker.counter import PERMANENT_CODES
from weighbridge_worker.executor import VERDICTS

PACKAGES = [Path(package.__file__ or "").parent for package in (weighbridge, weighbridge_worker)]
SOURCES = [path for package in PACKAGES for path in package.rglob("*.py")]
CALLS_WITH_CODES = {"PassingFailure", "PermanentFailure"}
VECTORS = json.loads((SCHEMAS / "digest_vectors.json").read_text())


def our_keys() -> set[str]:
    """Spell every key as the page does; a pattern and a prefix are none."""
    keys, spelled = Keys("ns"), set()
    for name, member in inspect.getmembers(Keys):
        if name.startswith("_") or name in {"namespace", "prefix", "results", "any_result"}:
            continue
        if isinstance(member, property):
            spelled.add(getattr(keys, name))
        else:
            parameters = list(inspect.signature(member).parameters)[1:]
            spelled.add(getattr(keys, name)(*(f"<{parameter}>" for parameter in parameters)))
    return spelled


def test_every_key_is_on_the_page_and_no_other() -> None:
    assert first_column("keys") == our_keys()


def test_every_key_that_a_script_builds_is_on_the_page() -> None:
    scripts = (PACKAGES[0] / "lua").rglob("*.lua")
    built = {name for path in scripts for name in re.findall(r"\.\. '([a-z_]+)", path.read_text())}
    named = {key.removeprefix("{ns}:1:").partition(":")[0] for key in first_column("keys")}
    assert built <= named
    assert {"job", "reply", "doorbell"} <= built


def codes_in(source: Path) -> Iterator[str]:
    """Find the codes of failures that a module makes: what stands first in an error of a call, and
    what a Failed is given by name.
    """
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in CALLS_WITH_CODES and node.args:
                yield from literals(node.args[0])
            elif node.func.id == "Failed":
                yield from (
                    code
                    for keyword in node.keywords
                    if keyword.arg == "code"
                    for code in literals(keyword.value)
                )


def literals(node: ast.expr) -> Iterator[str]:
    """Find the codes that an expression may be."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "<…>" for v in node.values)
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


def exceptions_of(module: Any, base: type[errors.WeighbridgeError]) -> set[str]:
    """Return the codes of a module's own exceptions."""
    found = [member for _, member in inspect.getmembers(module, inspect.isclass)]
    return {each.code for each in found if issubclass(each, base) and each is not base}


def our_codes() -> set[str]:
    """Return every code that a result or a reply may bear."""
    found = {code for source in SOURCES for code in codes_in(source)}
    found |= set(VERDICTS) | set(PERMANENT_CODES.values())
    found |= exceptions_of(errors, errors.PayloadError) - {errors.BrokenHistory.code}
    found |= {intake.BadRequest.code, intake.PoisonRequest.code}
    return {code.replace("<…>", "<status>") for code in found}


def test_every_code_of_a_record_is_on_the_page_and_no_other() -> None:
    assert first_column("codes") == our_codes()


def test_every_code_of_an_exception_is_on_the_page_and_no_other() -> None:
    ours = exceptions_of(errors, errors.WeighbridgeError) | {errors.WeighbridgeError.code}
    assert set(re.findall(r"`(\w+)`", section("exceptions"))) == ours - our_codes()


def fields_read() -> set[str]:
    """Return the inbox fields that the intake asks for."""
    text = inspect.getsource(intake)
    named = r'(?:fields\.get\(|fields\[|_name\(fields, )"(\w+)"'
    return set(re.findall(named, text))


def test_every_field_of_a_request_is_on_the_page_and_in_the_schema() -> None:
    assert first_column("inbox") == fields_read() == set(schema("inbox_entry")["properties"])


def test_what_the_page_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE.read_text())
    assert links
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


@pytest.fixture(scope="module")
def digest_on_the_page() -> Any:
    """The page's own function."""
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names["digest"]


@pytest.mark.parametrize("vector", VECTORS, ids=range(len(VECTORS)))
def test_the_test_vectors_are_right_by_our_code_and_by_the_pages(
    vector: dict[str, Any], digest_on_the_page: Any
) -> None:
    payload = check_payload(vector["payload"], betas=vector["betas"])
    key, partition = vector["key"], vector["partition"]
    assert payload.body == vector["canonical"].encode()
    assert list(payload.betas) == vector["sent_betas"]
    ours = digest_of(payload, partition=partition, key=key.encode() if key else None)
    theirs = digest_on_the_page(payload.body, payload.betas, partition, key)
    assert vector["digest"] == ours == theirs


def test_the_pages_user_can_produce_and_can_not_read_what_others_ask(
    tmp_path: Path, root_folder: Path
) -> None:
    found = re.search(r"^user (foreign on .*)$", PAGE.read_text(), re.M)
    assert found is not None
    name, *rules = found[1].split()
    payloads = tmp_path / "payloads.jsonl"
    payloads.write_text('{"model": "m"}\n')
    with own_server(tmp_path / "server") as server:
        with redis.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", name, *rules)
        url = server.url.replace("unix://", "unix://foreign:password@")
        with redis.Redis.from_url(url) as foreign, pytest.raises(NoPermissionError):
            foreign.xrange("{weighbridge}:1:inbox")
        done = subprocess.run(
            [sys.executable, root_folder / "deploy" / "producers" / "count.py", payloads],
            env={"REDIS_URL": url, "GIVE_UP_S": "0"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        with redis.Redis.from_url(server.url) as admin:
            [(_, fields)] = admin.xrange("{weighbridge}:1:inbox")
            refused = [entry["object"] for entry in admin.acl_log()]
    assert json.loads(done.stdout)["code"] == "no_reply", done.stderr
    assert set(fields) == {b"payload", b"id", b"bell"}
    assert [word for word in refused if "client" not in word] == ["xrange"]


@pytest.fixture
def root_folder() -> Path:
    return PAGE.parents[1]
