"""The documents say what the code does: examples lint clean, tables are complete, links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

import domain.dsl
from api.app import ROUTERS
from api.metrics import Metrics
from connectors.loading import load_connectors
from domain.access import ROLE_PERMISSIONS, Permission, Role
from domain.accounts import AccountField
from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.dsl.lint import RULES, lint
from domain.dsl.model.tasks import TASK_KEYWORDS
from domain.dsl.source import read_source
from domain.dsl.web_arguments import arguments_model
from domain.imports.mapping import parse_mapping
from domain.resources import RESOURCE_KINDS
from domain.settlement.recruiting import BEGINNINGS, WORDS
from domain.settlement.report_kinds import REPORTS
from runtime.settings import Settings, variable
from services.accounts import account_platforms
from storage.audit import DETAIL_CONTEXT
from storage.encryption import encrypted_type
from storage.tables import load_tables
from tests.documents import (
    ROOT,
    blocks,
    broken_links,
    documents,
    make_targets,
    read,
    table,
    tandem_commands,
    wrong_command,
)
from workflows.messages import QUEUES

DOCUMENTS = documents()
LANGUAGE = ("docs/flow-language.md", "docs/flow-language.zh-CN.md")
_HEAD = "document: { dsl: '1.0.3', namespace: docs, name: example, version: '1.0.0' }\n"
_CODE = re.compile(r"`([a-z]+(?:-[a-z0-9]+)+)`")


def _name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def _both(english: str, chinese: str) -> list[tuple[str, str]]:
    return list(zip(LANGUAGE, (english, chinese), strict=True))


def _examples() -> list[tuple[str, str]]:
    return [
        (f"{_name(document)} {number}", block)
        for document in DOCUMENTS
        for number, block in enumerate(blocks(document.read_text(encoding="utf-8"), "yaml"))
    ]


@pytest.mark.parametrize(("place", "example"), _examples(), ids=lambda value: value if "\n" not in value else "")
def test_every_yaml_example_lints_clean(place: str, example: str) -> None:
    """An example is a whole definition, a resource, a mapping of a table, a list of tasks, or some of a definition's
    keys."""
    content = read_source(example).documents[0].data
    text = example
    if "record" in content:
        assert parse_mapping(example.encode(), place)
        return
    if isinstance(content, list):
        text = _HEAD + "do:\n" + example
    elif not {"document", *RESOURCE_KINDS} & content.keys():
        text = _HEAD + example + ("" if "do" in content else "do: [{ nothing: { set: '${ . }' } }]\n")
    told = [f"{found.code}: {found.message.en}" for found in lint(text) if found.severity != "info"]
    assert told == [], f"{place}\n{text}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_link_leads_somewhere(document: Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_every_command_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [wrong for words in tandem_commands(text) if (wrong := wrong_command(words))] == []
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(make_targets(text)) <= targets


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_twelve_tasks_have_a_section_with_an_example(name: str) -> None:
    text = read(name)
    for keyword in TASK_KEYWORDS:
        _, heading, below = text.partition(f"\n### `{keyword}`")
        assert heading, keyword
        section = below.partition("\n#")[0]
        assert any(keyword in example for example in blocks(section, "yaml")), keyword


@pytest.mark.parametrize(("name", "heading"), _both("## The catalog", "## 调用目录"))
def test_the_catalog_is_complete_with_its_arguments(name: str, heading: str) -> None:
    told = {cells[0].strip("`"): re.findall(r"`([\w-]+)`", cells[2]) for cells in table(read(name), heading)}
    declared = {
        call.name: [_written(field, key) for key, field in arguments_model(call).model_fields.items()]
        for call in CATALOG.values()
    }
    assert told == declared


def _written(field: Any, name: str) -> str:
    return str(field.alias or name)


@pytest.mark.parametrize(("name", "heading"), _both("## Events", "## 事件"))
def test_the_event_types_are_complete(name: str, heading: str) -> None:
    told: set[str] = set()
    for cells in table(read(name), heading):
        prefix = ""
        for word in re.findall(r"`([\w.*-]+)`", cells[0]):
            told.add(prefix + word if word.startswith(".") else word)
            prefix = prefix if word.startswith(".") else word.rpartition(".")[0]
    families = tuple(name.partition("*")[0] for name in told if "*" in name)
    known = {name for name in KNOWN_EVENT_TYPES if not name.startswith(families)}
    assert {name for name in told if "*" not in name} == known
    assert families


@pytest.mark.parametrize(("name", "heading"), _both("## What the linter says", "## 检查会说什么"))
def test_every_code_of_the_linter_is_explained(name: str, heading: str) -> None:
    told = set(_CODE.findall(read(name).split(f"\n{heading}\n", 1)[1]))
    folder = Path(domain.dsl.__file__).parent
    sources = "\n".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.py"))
    expected = ROOT.glob("tests/domain/dsl/broken/*.expected")
    seen = {line.split()[2] for file in expected for line in file.read_text(encoding="utf-8").splitlines()}
    constants = set(re.findall(r'_CODE = "([a-z-]+)"', sources))
    assert set(RULES) | seen | constants <= told | {"bad-expression"}
    assert {code for code in told if f'"{code}"' not in sources and "-" in code} == set()


def test_the_settings_are_complete_with_their_defaults() -> None:
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in table(read("docs/operations.md"), "## Settings")}
    assert told == {variable(name): _shown(field.default) for name, field in Settings.model_fields.items()}


def test_what_accounts_need_is_complete() -> None:
    text = read("docs/accounts.md")
    for each in account_platforms(load_connectors(Catalog())):
        told = {row[0].strip("`"): (row[1], row[2]) for row in table(text, f"## {each.platform}")}
        assert told == {field.name: (_kind_of(field), _about(field)) for field in each.fields}, each.platform


def _kind_of(field: AccountField) -> str:
    zh = ("必填" if field.required else "选填") + ("，凭据" if field.secret else "")
    en = ("required" if field.required else "optional") + (", credential" if field.secret else "")
    return f"{zh} · {en}"


def _about(field: AccountField) -> str:
    assert field.about is not None, f"{field.name} is not described"
    assert field.about.zh != field.about.en, f"{field.name} is described in one language only"
    return f"{field.about.zh} · {field.about.en}"


def _shown(default: Any) -> str:
    if default is None or default == ():
        return "–"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_the_metrics_are_complete_with_their_labels() -> None:
    told = {
        cells[0].strip("`"): tuple(re.findall(r"`(\w+)`", cells[1]))
        for cells in table(read("docs/operations.md"), "## Monitoring")
    }
    collectors = [each for each in vars(Metrics()).values() if isinstance(each, MetricWrapperBase)]
    series = {
        next(iter(each.describe())).name + ("_total" if isinstance(each, Counter) else ""): each._labelnames
        for each in collectors
    }
    assert told == series


def test_the_permissions_of_the_roles_are_as_they_are() -> None:
    text = read("docs/security.md")
    head = re.search(r"^\| permission \|(.*)\|$", text, re.MULTILINE)
    assert head is not None
    roles = [Role(cell.strip()) for cell in head[1].split("|")]
    assert set(roles) == set(Role)
    told = {
        Permission(cells[0].strip("`")): {role for role, cell in zip(roles, cells[1:], strict=True) if cell}
        for cells in table(text, "## Roles and permissions")
    }
    held = {permission: {role for role in Role if permission in ROLE_PERMISSIONS[role]} for permission in Permission}
    assert told == held


def test_the_reports_are_complete_with_what_they_tie_with() -> None:
    told = {cells[0].strip("`"): (cells[1], cells[2]) for cells in table(read("docs/reports.md"), "## 种类 · Kinds")}
    assert told == {
        each.name: (
            f"{each.title.zh} · {each.title.en}："
            + "、".join(f"**{of.title.zh}**" if of.name == each.tie.column else of.title.zh for of in each.columns),
            f"{each.tie.said.zh} · {each.tie.said.en}",
        )
        for each in REPORTS.values()
    }


def test_every_encrypted_column_is_named() -> None:
    paragraph = read("docs/security.md").split("\nEncrypted columns: ", 1)[1].partition("\n\n")[0]
    kinds = [encrypted_type(column.type) for each in load_tables().sorted_tables for column in each.columns]
    encrypted = {kind.context for kind in kinds if kind is not None}
    assert set(re.findall(r"`([\w.]+)`", paragraph)) == encrypted | {DETAIL_CONTEXT}


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if "simulator" not in each.parts], ids=_name)
def test_every_address_of_the_api_exists(document: Path) -> None:
    """Only addresses that are written out whole: `GET /api/v1/…` in running text."""
    routes = [
        (method, re.sub(r"\{(\w+):path\}", r"{\1}", route.path))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    told = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[\w/{}.-]+)(?:\?[^`]*)?`", document.read_text(encoding="utf-8"))
    known = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in routes}
    assert [each for each in told if (each[0], re.sub(r"\{\w+\}", "{}", each[1])) not in known] == []


def test_every_decision_is_in_the_index() -> None:
    listed = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", read("docs/adr/README.md")))
    assert listed == {file.name for file in (ROOT / "docs" / "adr").glob("[0-9]*.md")}


def test_the_task_queues_are_complete() -> None:
    told = {cells[0].strip("`") for cells in table(read("docs/architecture.md"), "## Task queues")}
    connectors = {connector.queue for connector in load_connectors(CATALOG).values()}
    assert told == connectors | {*QUEUES}


def test_the_words_that_are_refused_as_recruiting_are_told() -> None:
    told = read("docs/settlement.md").partition("招募人数不能计酬")[2].partition("\n\n")[0]
    assert (
        tuple(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", told.partition("，中文含")[0].partition("会被拒绝：")[2]))
        == BEGINNINGS
    )
    assert tuple(re.findall(r"“([^”]+)”", told)) == WORDS
