"""`tandem flow run` as an operator uses it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli import command_line
from domain.problems import AuthorizationProblem, ValidationProblem

CARE = "definitions/care/ninety-days.yaml"


def tandem(*words: str, **options: Any) -> Result:
    return CliRunner().invoke(command_line(words), list(words), **options)


@pytest.fixture
def order(tmp_path: Path) -> Path:
    path = tmp_path / "order.json"
    path.write_text(json.dumps([{"data": {"external_userid": "wm1", "order_id": "O1"}}]), encoding="utf-8")
    return path


@pytest.fixture
def purchase(tmp_path: Path) -> Path:
    path = tmp_path / "events.yaml"
    path.write_text(
        "- after: P40D\n  event: {type: tandem.order.paid, data: {external_userid: wm1, order_id: O2}}\n",
        encoding="utf-8",
    )
    return path


def test_both_hosts_give_the_same_output_and_the_same_tasks(order: Path, purchase: Path) -> None:
    words = ["flow", "run", CARE, "--input", str(order), "--events", str(purchase), "--json"]
    local = json.loads(tandem(*words).stdout)
    temporal = json.loads(tandem(*words, "--host", "temporal").stdout)
    assert local["output"] == temporal["output"] == {"result": "repurchased", "order_id": "O2"}
    assert local["status"] == temporal["status"] == "completed"
    assert [(task["name"], task["status"]) for task in local["tasks"]] == [
        (task["name"], task["status"]) for task in temporal["tasks"]
    ]
    assert set(local["tasks"][0]) == {"name", "reference", "status", "startedAt", "endedAt"}


def test_both_hosts_let_a_person_declare_a_step_failed(tmp_path: Path) -> None:
    flow, events = tmp_path / "ask.yaml", tmp_path / "events.yaml"
    flow.write_text(
        "document: {dsl: 1.0.3, namespace: t, name: ask, version: 1.0.0}\n"
        "do:\n- careful:\n"
        "    try: [{ask: {call: human-task, with: {queue: q, title: t, form: {type: object}}}}]\n"
        "    catch: {as: e, do: [{seen: {set: '${ [$e.status, $e.detail, $e.type] }'}}]}\n",
        encoding="utf-8",
    )
    events.write_text(
        "- after: PT1H\n  event: {type: tandem.human-task.failed, data: {task: ask, comment: 包裹丢失}}\n",
        encoding="utf-8",
    )
    words = ["flow", "run", str(flow), "--events", str(events), "--json"]
    local, temporal = (json.loads(tandem(*words, *more).stdout) for more in ([], ["--host", "temporal"]))
    failed = [422, "包裹丢失", "https://tandem-scrm.org/problems/human-task-failed"]
    assert local["output"] == temporal["output"] == failed


def test_input_may_come_from_standard_input(tmp_path: Path) -> None:
    flow = tmp_path / "add.yaml"
    flow.write_text(
        "document: {dsl: 1.0.3, namespace: t, name: add, version: 1.0.0}\ndo:\n- add: {set: {sum: '${ .a + .b }'}}\n",
        encoding="utf-8",
    )
    result = tandem("flow", "run", str(flow), "--input", "-", "--json", input='{"a": 1, "b": 2}')
    assert json.loads(result.stdout)["output"] == {"sum": 3}


def test_a_flow_that_faults_prints_its_error_and_exits_with_1(tmp_path: Path) -> None:
    flow = tmp_path / "fail.yaml"
    flow.write_text(
        "document: {dsl: 1.0.3, namespace: t, name: fail, version: 1.0.0}\n"
        "do:\n- no: {raise: {error: {type: https://example.com/no, status: 418, title: No}}}\n",
        encoding="utf-8",
    )
    result = tandem("flow", "run", str(flow), "--json")
    content = json.loads(result.stdout)
    assert result.exit_code == 1
    assert content["status"] == "faulted"
    assert content["error"] == {
        "type": "https://example.com/no",
        "status": 418,
        "title": "No",
        "instance": "/do/0/no",
    }


def test_waiting_for_what_never_comes_is_said_instead_of_hanging(tmp_path: Path) -> None:
    flow = tmp_path / "wait.yaml"
    flow.write_text(
        "document: {dsl: 1.0.3, namespace: t, name: wait, version: 1.0.0}\n"
        "do:\n- hear: {listen: {to: {one: {with: {type: never}}}}}\n",
        encoding="utf-8",
    )
    words = ["flow", "run", str(flow), "--json"]
    local, temporal = (json.loads(tandem(*words, *more).stdout) for more in ([], ["--host", "temporal"]))
    assert local["status"] == temporal["status"] == "faulted"
    assert "--events" in local["error"]["detail"]
    assert local["error"] == temporal["error"]
    assert [task["status"] for task in local["tasks"]] == [task["status"] for task in temporal["tasks"]]


def test_a_broken_definition_is_told_with_its_place(tmp_path: Path) -> None:
    flow = tmp_path / "broken.yaml"
    flow.write_text("document: {dsl: 1.0.3, namespace: t, name: x, version: 1.0.0}\ndo:\n- a: {st: {}}\n", "utf-8")
    result = tandem("flow", "run", str(flow))
    assert result.exit_code == 1
    assert f"{flow}:3:" in result.stderr
    assert "Traceback" not in result.output


def test_a_web_call_goes_only_where_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_HTTP_ALLOWED_HOSTS", "api.example.com")
    flow = tmp_path / "call.yaml"
    flow.write_text(
        "document: {dsl: 1.0.3, namespace: t, name: call, version: 1.0.0}\n"
        "do:\n- get: {call: http, with: {method: get, endpoint: http://127.0.0.1:9/}}\n",
        encoding="utf-8",
    )
    error = json.loads(tandem("flow", "run", str(flow), "--json").stdout)["error"]
    assert error["status"] == 403
    assert "TANDEM_HTTP_ALLOWED_HOSTS" in error["detail"]


def test_a_secret_that_is_not_in_the_environment_is_asked_for_by_its_variable() -> None:
    result = tandem("flow", "run", "definitions/operations/morning-brief.yaml")
    assert isinstance(result.exception, AuthorizationProblem)
    assert "TANDEM_SECRET_REPORT_SERVICE" in str(result.exception)


def test_a_secret_that_is_no_json_is_named_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_SECRET_REPORT_SERVICE", '{"token": hunter2')
    result = tandem("flow", "run", "definitions/operations/morning-brief.yaml")
    assert isinstance(result.exception, ValidationProblem)
    assert "TANDEM_SECRET_REPORT_SERVICE" in str(result.exception)
    assert "hunter2" not in str(result.exception)


def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    missing, foreign = tmp_path / "nothing.yaml", tmp_path / "foreign.yaml"
    foreign.write_bytes("document: {名称: 退款}".encode("gbk"))
    for words in ([str(missing)], [CARE, "--events", str(missing)], [CARE, "--input", str(missing)]):
        with pytest.raises(ValidationProblem, match="there is no such file") as refusal:
            tandem("flow", "run", *words, catch_exceptions=False)
        assert "文件不存在" in refusal.value.text.zh
    with pytest.raises(ValidationProblem, match="UTF-8"):
        tandem("flow", "run", str(foreign), catch_exceptions=False)
