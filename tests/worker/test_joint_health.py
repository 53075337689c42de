"""What a parent tells of its processes, by what each of them told."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from weighbridge.figures import WorkerFigures
from weighbridge_worker.cli.joint_health import joined, labelled
from weighbridge_worker.exposition import encoded
from weighbridge_worker.families import gauge
from weighbridge_worker.health import HealthReport
from weighbridge_worker.metrics import worker_families

WELL = HealthReport(
    live=True, ready=True, why=(), notes=(), in_flight=3, taken_s=1.0, settled_s=2.0
)


def test_a_container_is_ready_if_every_process_is() -> None:
    busier = replace(WELL, in_flight=4, taken_s=2.0, settled_s=5.0)
    assert joined({1: WELL, 2: busier}) == replace(WELL, in_flight=7, taken_s=2.0, settled_s=2.0)


def test_what_is_wrong_with_one_is_told_with_its_number() -> None:
    ill = replace(WELL, ready=False, why=("draining",), taken_s=None)
    assert joined({1: WELL, 2: ill}) == HealthReport(
        live=True,
        ready=False,
        why=("process 2: draining",),
        notes=(),
        in_flight=6,
        taken_s=None,
        settled_s=2.0,
    )
    assert not joined({1: replace(WELL, live=False, ready=False), 2: WELL}).live


def test_what_holds_the_fleet_is_told_once() -> None:
    held = replace(WELL, notes=("the fleet holds: failing",))
    assert joined({1: held, 2: held}).notes == ("the fleet holds: failing",)


def test_when_all_have_gone_nothing_is_ready() -> None:
    assert not joined({}).ready


def text(figures: WorkerFigures) -> bytes:
    """Write what a process tells."""

    def families() -> Iterator[Metric]:
        yield from worker_families(figures, WELL)
        yield gauge("queue_reachable", "Whether.", 1)

    return encoded(families(), "")[0]


def samples(told: Iterable[Metric]) -> dict[tuple[str, str], float]:
    """Give the values by name and process."""
    return {
        (sample.name, sample.labels.get("process", "")): sample.value
        for family in told
        for sample in family.samples
        if sample.labels.get("outcome", "counted") == "counted"
    }


def test_a_workers_own_metrics_are_told_by_process_and_the_namespaces_once() -> None:
    one, two = WorkerFigures(calls={"counted": 5}), WorkerFigures(calls={"counted": 7})
    values = samples(labelled({1: text(one), 2: text(two), 3: b""}))
    assert values["weighbridge_worker_calls_total", "1"] == 5
    assert values["weighbridge_worker_calls_total", "2"] == 7
    ready = {process: values["weighbridge_worker_ready", process] for process in "123"}
    assert ready == {"1": 1, "2": 1, "3": 0}
    assert values["weighbridge_queue_reachable", ""] == 1
    assert ("weighbridge_queue_reachable", "1") not in values


def test_the_joint_metrics_are_of_either_form() -> None:
    texts = {1: text(WorkerFigures()), 2: text(WorkerFigures())}
    plain, _ = encoded(labelled(texts), "")
    opened, content_type = encoded(labelled(texts), "application/openmetrics-text; version=1.0.0")
    assert "openmetrics" in content_type
    families = open_metrics(opened.decode())  # type: ignore[no-untyped-call]
    assert samples(families) == samples(text_string_to_metric_families(plain.decode()))
