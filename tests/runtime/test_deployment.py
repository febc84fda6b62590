"""What production is told must be what the code knows: names drift apart silently otherwise."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.loading import load_connectors
from domain.calls import Catalog
from runtime.embedded.temporal import DYNAMIC_CONFIGURATION
from runtime.search_attributes import SEARCH_ATTRIBUTES
from runtime.settings import Settings, variable
from worker import GRACE
from workflows import labels
from workflows.messages import QUEUES

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    content = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return dict(content["services"])


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values()}
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    images |= set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    assert images
    assert all(re.search(r":\d+\.\d+(\.\d+)?(-[a-z0-9.-]+)?$", image) for image in images), images


def test_every_tandem_variable_is_a_setting(services: dict[str, Any]) -> None:
    known = {variable(name) for name in Settings.model_fields}
    ours = [service for service in services.values() if service["image"].startswith("tandem:")]
    used = {name for service in ours for name in service["environment"] if name.startswith("TANDEM_")}
    assert used
    assert used <= known


def test_the_example_names_every_value_that_the_compose_file_takes() -> None:
    taken = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text(encoding="utf-8")))
    example = (ROOT / "deploy" / "tandem.env.example").read_text(encoding="utf-8")
    offered = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert taken - offered <= {"TANDEM_SIMULATOR_PORT"}
    assert offered <= taken


def test_the_example_holds_no_secret() -> None:
    example = (ROOT / "deploy" / "tandem.env.example").read_text(encoding="utf-8")
    for line in example.splitlines():
        if re.match(r"\w+_(PASSWORD|KEYS|PEPPER|API_KEY)=", line):
            assert line.endswith("="), line


def test_every_queue_has_a_worker(services: dict[str, Any]) -> None:
    served = {
        service["command"][service["command"].index("--queue") + 1]
        for name, service in services.items()
        if name.startswith("worker-")
    }
    platforms = {connector.queue for connector in load_connectors(Catalog()).values() if connector.calls}
    assert served == {*QUEUES, *platforms}


JOBS = {"temporal-schema", "temporal-namespace", "migrate"}
"""What ends by itself; everything else serves for ever."""


def test_whatever_serves_tells_whether_it_is_well_and_comes_back(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in JOBS), name
        assert service["restart"] == ("on-failure" if name in JOBS else "unless-stopped"), name


def test_two_interfaces_and_the_workers_wait_for_the_tables(services: dict[str, Any]) -> None:
    interfaces = [name for name, service in services.items() if service.get("command") == ["api"]]
    assert len(interfaces) == 2
    assert services["migrate"]["command"] == ["migrate"]
    for name in [*interfaces, *(name for name in services if name.startswith("worker-"))]:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert set(services["proxy"]["depends_on"]) == set(interfaces)


def test_a_worker_in_a_container_may_finish_what_it_has_in_hand(services: dict[str, Any]) -> None:
    workers = [service for name, service in services.items() if name.startswith("worker-")]
    assert all(int(worker["stop_grace_period"].removesuffix("s")) > GRACE.total_seconds() for worker in workers)


def test_what_is_kept_is_on_a_volume(services: dict[str, Any]) -> None:
    kept = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())}
    named = set(yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["volumes"])
    assert {name for name in kept if not name.startswith(".")} == named
    assert services["postgres"]["volumes"][0].startswith("postgres-data:/var/lib/postgresql")


def test_the_simulator_is_no_part_of_production(services: dict[str, Any]) -> None:
    assert services["simulator"]["profiles"] == ["simulator"]
    assert [name for name, service in services.items() if "profiles" in service] == ["simulator"]


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="Debian's docker-compose is not installed")
def test_the_compose_file_is_valid() -> None:
    command = ["docker-compose", "--env-file", "deploy/tandem.env.example", "--profile", "simulator", "config", "-q"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_the_namespace_job_registers_our_search_attributes() -> None:
    script = (ROOT / "deploy" / "temporal" / "namespace.sh").read_text(encoding="utf-8")
    assert dict(re.findall(r"(Tandem\w+)=(\w+)", script)) == SEARCH_ATTRIBUTES


def test_the_services_write_search_attributes_that_are_registered() -> None:
    keys = [getattr(labels, name) for name in ("FLOW", "VERSION", "SUBJECT", "CUSTOMER", "TICKET", "PHASE")]
    assert {key.name for key in keys} == set(SEARCH_ATTRIBUTES)


def test_production_schedules_work_as_the_embedded_server_does() -> None:
    content = yaml.safe_load((ROOT / "deploy" / "temporal" / "dynamicconfig" / "tandem.yaml").read_text())
    ours = {name: json.loads(value) for name, value in DYNAMIC_CONFIGURATION.items()}
    # A second of shift covers the clocks of a cluster; on one machine there is only one.
    del ours["history.timerProcessorMaxTimeShift"]
    assert {name: values[0]["value"] for name, values in content.items()} == ours


@pytest.mark.parametrize("script", sorted((ROOT / "deploy").rglob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_valid_for_a_plain_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o100
    checked = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
