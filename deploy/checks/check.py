"""Check what deploy/ holds, without a Docker engine or a cluster: ``make check-deploy``.

Run by the interpreter whose environment has requirements.txt. promtool comes with Prometheus
(Debian: ``apt-get install prometheus``); without it its checks are left out, and said to be.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import yaml

DEPLOY = Path(__file__).parents[1]
TOOLS = Path(sys.executable).parent
COMPOSE = DEPLOY / "compose"
PROMETHEUS = DEPLOY / "prometheus"


def main() -> int:
    """Run every check and name those that fail."""
    failed = [name for name, words in commands() if not passes(name, words)]
    for path in manifests():
        if not is_kustomization(path):
            failed += check_manifest(path)
    if shutil.which("promtool"):
        failed += check_queries()
    else:
        print("left out  promtool is not installed: alerts and dashboards")
    print(f"{len(failed)} failed" if failed else "All of deploy/ is well.")
    return bool(failed)


def commands() -> Iterator[tuple[str, list[str | Path]]]:
    """Yield the checks that are one command."""
    compose: list[str | Path] = [TOOLS / "docker-compose", "-f", COMPOSE / "compose.yaml"]
    yield "hadolint", [TOOLS / "hadolint", DEPLOY / "image" / "Dockerfile"]
    yield (
        "compose schema",
        [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose[-1]],
    )
    yield "compose", [*compose, "config", "-q"]
    yield "compose with a key", [*compose, "-f", COMPOSE / "api.yaml", "config", "-q"]
    if shutil.which("promtool"):
        scrape = ["promtool", "check", "config", "--syntax-only", COMPOSE / "prometheus.yml"]
        yield "scrape configuration", scrape
        yield "alerts", ["promtool", "check", "rules", PROMETHEUS / "rules.yaml"]
        yield "alerts' tests", ["promtool", "test", "rules", PROMETHEUS / "rules_test.yaml"]


def passes(name: str, words: list[str | Path]) -> bool:
    """Run one command and say how it went."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print(f"{'FAILED' if done.returncode else 'ok':9} {name}")
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def manifests() -> list[Path]:
    """List Kubernetes' files."""
    return sorted((DEPLOY / "kubernetes").rglob("*.yaml"))


def is_kustomization(path: Path) -> bool:
    """Kustomizations have no schema to be had offline; a test holds their references."""
    return path.name == "kustomization.yaml"


def check_manifest(path: Path) -> list[str]:
    """Check one file: KEDA's kinds by our schema, the others by Kubernetes' own, strictly."""
    name = str(path.relative_to(DEPLOY))
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    if any(each["apiVersion"].startswith("keda.sh/") for each in documents):
        return check_keda(name, documents)
    good = passes(name, [TOOLS / "kubernetes-validate", "--strict", path])
    return [] if good else [name]


def check_keda(name: str, documents: list[dict[str, object]]) -> list[str]:
    """KEDA's definitions are in no validator: a schema of the fields that we use is ours."""
    schema = json.loads((DEPLOY / "checks" / "keda.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    errors = [error for each in documents for error in validator.iter_errors(each)]
    print(f"{'FAILED' if errors else 'ok':9} {name}")
    for error in errors:
        print(f"  {error.json_path}: {error.message}")
    return [name] if errors else []


def check_queries() -> list[str]:
    """Let promtool read the dashboard's queries, as rules that nobody evaluates."""
    dashboard = DEPLOY / "grafana" / "dashboards" / "weighbridge.json"
    panels = json.loads(dashboard.read_text(encoding="utf-8"))["panels"]
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
        file.flush()
        good = passes("dashboard's queries", ["promtool", "check", "rules", file.name])
    return [] if good else ["dashboard's queries"]


if __name__ == "__main__":
    sys.exit(main())
