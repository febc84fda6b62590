import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from commands.flow_check import draw_graph, lint_files, print_schema
from domain.problems import ConfigurationProblem

GOOD = """\
document: {dsl: '1.0.3', namespace: shop, name: good, version: '1.0.0'}
do:
  - a: {set: {x: 1}}
"""
BROKEN = GOOD.replace("name: good", "name: broken").replace("set: {x: 1}", "sett: {退款: 1}")

app = typer.Typer()
app.command("lint")(lint_files)
app.command("schema")(print_schema)
app.command("graph")(draw_graph)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD, encoding="utf-8")
    return file


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN, encoding="utf-8")
    return file


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_wrong_setting_is_refused_by_its_name(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_API_PORT", "eighty")
    for command in ("lint", "graph"):
        with pytest.raises(ConfigurationProblem, match="TANDEM_API_PORT"):
            CliRunner().invoke(app, [command, str(good)], catch_exceptions=False)


def test_a_good_file_is_silent(good: Path) -> None:
    assert run("lint", good) == (0, "", "")


def test_a_broken_file_shows_place_sentence_line_and_caret(broken: Path) -> None:
    code, out, _ = run("lint", broken)
    assert code == 1
    lines = out.splitlines()
    assert lines[0].startswith(f"{broken}:3:5  error  no-task-keyword  任务“a”没有说要做什么")
    assert lines[1].startswith("    The task “a” does not say what to do")
    assert lines[2] == "      - a: {sett: {退款: 1}}"
    assert lines[3] == "        ^"


def test_json_has_exactly_the_promised_members(broken: Path, good: Path) -> None:
    code, out, _ = run("lint", broken, good, "--json")
    assert code == 1
    (report,) = json.loads(out)
    assert list(report) == ["file", "code", "severity", "line", "column", "message"]
    assert list(report["message"]) == ["zh", "en"]
    assert (report["file"], report["line"], report["column"]) == (str(broken), 3, 5)


def test_warnings_alone_do_not_fail(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(GOOD.replace("{x: 1}", "{x: .y.z}").replace("name: good", "name: w"), encoding="utf-8")
    code, out, _ = run("lint", file)
    assert (code, "unevaluated-text" in out) == (0, True)


def test_a_folder_is_searched_and_a_missing_file_told(good: Path, broken: Path) -> None:
    code, out, _ = run("lint", good.parent)
    assert (code, str(broken) in out) == (1, True)
    code, _, told = run("lint", good, good.with_name("nothing.yaml"))
    assert code == 2
    assert "文件不存在" in told
    assert "no such file" in told


def test_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "gbk.yaml"
    file.write_bytes("标题: 退货".encode("gbk"))
    code, out, _ = run("lint", file)
    assert code == 1
    assert "GBK" in out


def test_the_schema_is_json() -> None:
    code, out, _ = run("schema")
    assert code == 0
    assert json.loads(out)["$schema"].endswith("2020-12/schema")


def test_a_graph_is_printed_or_written(good: Path, tmp_path: Path) -> None:
    code, out, _ = run("graph", good)
    assert (code, out.splitlines()[3]) == (0, "flowchart TD")
    picture = tmp_path / "good.svg"
    assert run("graph", good, "--format", "svg", "-o", picture) == (0, "", "")
    assert picture.read_text(encoding="utf-8").startswith("<svg ")


def test_a_broken_flow_is_not_drawn(broken: Path) -> None:
    code, out, told = run("graph", broken)
    assert (code, out) == (1, "")
    assert "no-task-keyword" in told


def test_one_of_several_flows_is_chosen(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    file.write_text(f"{GOOD}---\n{GOOD.replace('good', 'other')}", encoding="utf-8")
    assert 'title: "other"' in run("graph", file, "--flow", "shop/other")[1]
    code, _, told = run("graph", file, "--flow", "shop/none")
    assert (code, "shop/none" in told) == (1, True)
