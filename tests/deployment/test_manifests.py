"""What deploy/ says of the program is true, and its parts fit each other."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from weighbridge.settings import QueueSettings
from weighbridge_worker.gateway.settings import GatewaySettings
from weighbridge_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUSTOMIZATIONS = sorted((DEPLOY / "kubernetes").rglob("kustomization.yaml"))

OF_THE_COMMAND = {"WEIGHBRIDGE_STATE_DIR", "WEIGHBRIDGE_REDIS_SERVER"}
"""Read by the command, and no setting of a worker's."""


def load(path: Path) -> list[Any]:
    """Read a file's documents; Compose's own tags are taken for nothing."""
    text = path.read_text(encoding="utf-8").replace("!reset null", "null")
    return list(yaml.safe_load_all(text))


def container(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a Deployment's pod and its one container."""
    [deployment] = [
        each
        for each in load(DEPLOY / "kubernetes" / "base" / f"{name}.yaml")
        if each["kind"] == "Deployment"
    ]
    pod = deployment["spec"]["template"]["spec"]
    [only] = pod["containers"]
    return pod, only


def environment(only: dict[str, Any]) -> dict[str, str]:
    """Read a container's variables."""
    return {each["name"]: each.get("value", "") for each in only["env"]}


def defaults(settings: type) -> dict[str, Any]:
    """Map each option's variable to its default."""
    return {each.metadata["option"].variable: each.default for each in fields(settings)}


def variables() -> Iterator[tuple[Path, str]]:
    """Yield each variable of ours that deploy/ names, and where."""
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and path.suffix in {"", ".yaml", ".md", ".sh"}:
            text = path.read_text(encoding="utf-8")
            for name in re.findall(r"\b(?:WEIGHBRIDGE|ANTHROPIC)_[A-Z_]*[A-Z]\b", text):
                yield path, name


def test_every_variable_that_deploy_names_is_a_setting() -> None:
    known = OF_THE_COMMAND | {
        name for each in (QueueSettings, WorkerSettings, GatewaySettings) for name in defaults(each)
    }
    unknown = {
        (path.name, name)
        for path, name in variables()
        if name.removesuffix("_FILE") not in known and name not in known
    }
    assert unknown == set()


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_names_files_that_are_there(path: Path) -> None:
    [said] = load(path)
    generated = [file for each in said.get("secretGenerator", []) for file in each.get("files", [])]
    for name in [*said["resources"], *generated]:
        assert (path.parent / name).exists(), name


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_patch_meets_what_it_changes(path: Path) -> None:
    [said] = load(path)
    base = {
        (each["kind"], each["metadata"]["name"]): each
        for file in (DEPLOY / "kubernetes" / "base").glob("*.yaml")
        if file.name != "kustomization.yaml"
        for each in load(file)
    }
    for patch in said.get("patches", []):
        target = base[patch["target"]["kind"], patch["target"]["name"]]
        for step in yaml.safe_load(patch["patch"]):
            place = target
            *parents, last = step["path"].strip("/").split("/")
            for word in parents:
                place = place[int(word) if word.isdigit() else word]
            assert last == "-" or last in place


def test_a_pod_is_killed_no_sooner_than_its_drain_may_take() -> None:
    pod, worker = container("worker")
    grace = defaults(WorkerSettings)["WEIGHBRIDGE_GRACE"]
    assert pod["terminationGracePeriodSeconds"] == float(environment(worker)["WEIGHBRIDGE_GRACE"])
    assert pod["terminationGracePeriodSeconds"] >= grace
    gateway, _ = container("gateway")
    drain = defaults(GatewaySettings)["WEIGHBRIDGE_GATEWAY_DRAIN"]
    assert gateway["terminationGracePeriodSeconds"] > drain
    compose = load(DEPLOY / "compose" / "compose.yaml")[0]
    assert compose["services"]["worker"]["stop_grace_period"] == f"{grace:g}s"


@pytest.mark.parametrize(("name", "port"), [("worker", 8398), ("gateway", 8397)])
def test_a_container_has_no_more_rights_than_it_needs(name: str, port: int) -> None:
    pod, only = container(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["containerPort"] for each in only["ports"]] == [port]
    probed = {only[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
    assert probed == {"/live", "/ready"}


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    tested = dict(_pins(ROOT / "requirements.lock"))
    shipped = dict(_pins(DEPLOY / "image" / "requirements.lock"))
    assert len(shipped) > 40
    assert {name: tested.get(name) for name in shipped} == shipped
    assert not {"pytest", "fakeredis", "hypothesis", "mypy"} & set(shipped)


def _pins(lock: Path) -> Iterator[tuple[str, str]]:
    for line in lock.read_text(encoding="utf-8").splitlines():
        if "==" in line:
            requirement = Requirement(line.removesuffix("\\").strip())
            yield requirement.name, str(requirement.specifier)


def test_no_image_floats() -> None:
    for path in sorted(DEPLOY.rglob("*.yaml")):
        for image in re.findall(
            r"^\s*image: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            assert image == "weighbridge" or re.search(r":v?\d", image), (path.name, image)


def test_every_alert_has_an_entry_in_the_runbook_and_the_other_way_round() -> None:
    [rules] = load(DEPLOY / "prometheus" / "rules.yaml")
    alerts = {
        each["alert"]: each["annotations"]["runbook_url"]
        for group in rules["groups"]
        for each in group["rules"]
        if "alert" in each
    }
    entries = re.findall(r"^## (\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert list(alerts) == entries
    assert alerts == {name: f"RUNBOOK.md#{name.lower()}" for name in entries}


def test_every_alert_is_tested() -> None:
    [rules] = load(DEPLOY / "prometheus" / "rules.yaml")
    [tests] = load(DEPLOY / "prometheus" / "rules_test.yaml")
    alerts = {each["alert"] for each in rules["groups"][0]["rules"] if "alert" in each}
    fired = {
        each["alertname"]
        for test in tests["tests"]
        for each in test["alert_rule_test"]
        if each["exp_alerts"]
    }
    assert fired == alerts


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    page = (DEPLOY / "metrics" / "README.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(weighbridge_\w+)`", page, re.MULTILINE))
    asked = set()
    for path in ("prometheus/rules.yaml", "grafana/dashboards/weighbridge.json"):
        asked |= set(re.findall(r"\bweighbridge_\w+", (DEPLOY / path).read_text(encoding="utf-8")))
    assert {name.removesuffix("_bucket") for name in asked} <= known


def test_the_dashboards_panels_do_not_overlap() -> None:
    text = (DEPLOY / "grafana" / "dashboards" / "weighbridge.json").read_text(encoding="utf-8")
    cells: set[tuple[int, int]] = set()
    for panel in json.loads(text)["panels"]:
        place = panel["gridPos"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, panel["title"]
        cells |= covered
