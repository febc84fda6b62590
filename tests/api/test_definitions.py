"""From an operator's file to runs over HTTP: check, upload, publish, release, start, compare, roll back, try out."""

import asyncio
import base64
import hashlib
import uuid
from typing import Any
from xml.etree import ElementTree

import pytest

from domain.access import Role
from services.definitions import DefinitionService
from tests.api.house import Answer, House, problem
from tests.services.house import a_flow, eventually

DEFINITIONS = "/api/v1/definitions"
YAML = {"Content-Type": "application/yaml"}


def _greeting(version: str, text: str = "hello") -> str:
    return a_flow("greet", f"- greet:\n    set: {{said: {text}}}", version=version)


async def _upload(house: House, who: str, text: str, where: str = DEFINITIONS) -> Answer:
    return await house.say(who, "POST", where, content=text.encode(), headers=YAML)


async def test_a_definition_goes_from_a_file_to_a_run_and_back(house: House) -> None:
    for version in ("1.0.0", "2.0.0"):
        uploaded = await _upload(house, "ops", _greeting(version, f"hello {version}"))
        assert uploaded.status_code == 201, uploaded.text
        assert uploaded.json()["documents"][0]["outcome"] == "created"
        published = await house.post("ops", f"{DEFINITIONS}/shop/greet/{version}/publish")
        assert published.json()["published_by"] == "ops"
    for version in ("1.0.0", "2.0.0"):
        released = await house.post(
            "ops", "/api/v1/releases/shop/greet", {"version": version, "share_percent": 100, "reason": "try"}
        )
        assert released.status_code == 201, released.text
    async with house.core.worker():
        run = await house.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "greet"})
        assert (run.status_code, run.json()["version"]) == (201, "2.0.0")
        path = run.headers["location"]

        async def ended() -> dict[str, Any] | None:
            shown: dict[str, Any] = (await house.get("auditor", path)).json()
            return shown if shown["phase"] == "completed" else None

        shown = await eventually(ended)
    assert shown["output"] == {"said": "hello 2.0.0"}
    assert [(task["name"], task["status"]) for task in shown["tasks"]] == [("greet", "completed")]
    back = await house.post("ops", "/api/v1/releases/shop/greet/rollback", {})
    assert (back.status_code, back.json()["stable"]) == (201, "1.0.0")
    current = await house.get("agent", "/api/v1/releases/shop/greet")
    assert (current.json()["stable"], current.headers["etag"]) == ("1.0.0", f'"{current.json()["id"]}"')
    history = (await house.get("agent", "/api/v1/releases/shop/greet/history")).json()["items"]
    assert [release["action"] for release in history] == ["rollback", "release", "release"]
    assert (await house.post("ops", "/api/v1/releases/shop/greet/rollback", {})).status_code == 409


async def test_versions_are_listed_shown_and_compared(house: House) -> None:
    for version in ("1.1.0", "1.2.0"):
        await _upload(house, "ops", a_flow("compare", f"- step:\n    set: {{v: '{version}'}}", version=version))
    listed = await house.get("agent", DEFINITIONS, params={"name": "compare", "published": "false"})
    assert {each["version"] for each in listed.json()["items"]} == {"1.1.0", "1.2.0"}
    history = await house.get("agent", f"{DEFINITIONS}/shop/compare")
    assert [each["version"] for each in history.json()["items"]] == ["1.2.0", "1.1.0"]
    shown = await house.get("agent", f"{DEFINITIONS}/shop/compare/1.1.0")
    assert shown.headers["etag"] == f'"{shown.json()["digest"]}"'
    assert shown.json()["document"]["document"]["version"] == "1.1.0"
    assert shown.json()["text"].startswith("document:")
    compared = await house.get(
        "agent", f"{DEFINITIONS}/shop/compare/diff", params={"before": "1.1.0", "after": "1.2.0"}
    )
    assert compared.json()["changed"] == ["step"]
    assert "-  version: '1.1.0'" in compared.json()["text"]
    assert (await house.get("agent", f"{DEFINITIONS}/shop/compare/9.9.9")).status_code == 404


async def test_a_broken_upload_says_where_and_changes_nothing(house: House) -> None:
    files = [
        ("files", ("good.yaml", _greeting("7.0.0").encode(), "text/yaml")),
        ("files", ("bad.yaml", _greeting("7.0.1").replace("set:", "sett:").encode(), "text/yaml")),
    ]
    answer = await house.say("ops", "POST", DEFINITIONS, files=files)
    assert answer.status_code == 400
    (found,) = (each for each in problem(answer)["findings"] if each["severity"] == "error")
    assert (found["file"], found["line"]) == ("bad.yaml", 8)
    assert "set" in found["message"]["en"]
    assert (await house.get("ops", f"{DEFINITIONS}/shop/greet/7.0.0")).status_code == 404


async def test_many_files_of_a_form_are_stored_as_they_are(house: House) -> None:
    strange = "# ünïcode 退货\r\n" + _greeting("8.0.0", "'line\\r\\n'")
    resources = "form:\n  name: visit\n  title: 回访\n  schema: {type: object}\n"
    files = [
        ("files", ("退货.yaml", strange.encode(), "text/yaml")),
        ("files", ("forms.yaml", resources.encode(), "application/octet-stream")),
    ]
    answer = await house.say("ops", "POST", DEFINITIONS, files=files)
    assert answer.status_code == 201, answer.text
    assert [each["version"]["kind"] for each in answer.json()["documents"]] == ["flow", "form"]
    shown = await house.get("ops", f"{DEFINITIONS}/shop/greet/8.0.0")
    assert "退货" in shown.json()["text"]
    assert (await house.get("ops", "/api/v1/resources/form/visit")).json()["items"][0]["title"] == "回访"
    put = await house.post("ops", "/api/v1/resources/form/visit/1.0.0/publish")
    assert put.status_code == 200
    form = await house.get("agent", "/api/v1/resources/form/visit/1.0.0")
    assert form.json()["document"]["form"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({}, b"document: {}", 415),
        ({"Content-Type": "multipart/form-data"}, b"nothing", 400),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 400),
        ({"Content-Type": b'multipart/form-data; boundary="\xe4"'}, b"--\xe4--", 400),
        ({"Content-Type": "multipart/form-data; boundary*=utf-8''%E9%80%80"}, b"--x--", 400),
        ({"Content-Type": "application/yaml"}, b"\xff\xfe\x00d", 400),
        ({"Content-Type": "application/yaml"}, b"", 400),
        ({"Content-Type": "application/yaml"}, b"a: &a [*a]", 400),
    ],
)
async def test_what_is_no_upload_is_refused(house: House, headers: dict[str, str], content: bytes, status: int) -> None:
    answer = await house.say("ops", "POST", DEFINITIONS, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert problem(answer)["message"]["zh"]


async def test_a_text_can_be_checked_without_storing_it(house: House) -> None:
    good = await _upload(house, "ops", _greeting("9.0.0"), f"{DEFINITIONS}/lint?file=greet.yaml")
    assert good.json()["ok"] is True
    bad = await _upload(house, "ops", "document: [", f"{DEFINITIONS}/lint")
    assert (bad.status_code, bad.json()["ok"]) == (200, False)
    assert (await house.get("ops", f"{DEFINITIONS}/shop/greet/9.0.0")).status_code == 404


async def test_a_flow_is_tried_out_on_a_virtual_clock(house: House) -> None:
    text = a_flow(
        "patient",
        "- wait:\n    wait: {days: 80}\n"
        "- hear:\n    listen: {to: {one: {with: {type: com.example.visit}}}}\n"
        "- tell:\n    set: {days: 90}",
    )
    event = {"id": "1", "source": "/pos", "type": "com.example.visit", "data": {}}
    body = {"text": text, "events": [{"after_s": 90 * 86400, "event": event}]}
    answer = await house.post("ops", f"{DEFINITIONS}/dry-run", body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["output"]) == ("completed", {"days": 90})
    assert answer.json()["virtual_s"] == pytest.approx(90 * 86400)
    neither = await house.post("ops", f"{DEFINITIONS}/dry-run", {"input": 1})
    assert "`text`" in problem(neither)["errors"][0]["message"]["en"]
    broken = await house.post("ops", f"{DEFINITIONS}/dry-run", {"text": "nonsense"})
    assert problem(broken)["findings"]


HOSTILE = "</title><script>alert(1)</script>"


async def test_a_version_is_drawn_in_three_forms(house: House) -> None:
    text = a_flow("drawn", "- greet:\n    set: {said: hello}").replace("'1.0.0'", f"'1.0.0'\n  title: '{HOSTILE}'")
    assert (await _upload(house, "ops", text)).status_code == 201
    path = f"{DEFINITIONS}/shop/drawn/1.0.0/graph"
    picture = await house.get("agent", path)
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.headers["content-disposition"] == 'inline; filename="shop-drawn-1.0.0.svg"'
    root = ElementTree.fromstring(picture.content)
    assert root.findtext("{http://www.w3.org/2000/svg}title") == HOSTILE, "text, and no script"
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert "<script" not in picture.text
    notation = await house.get("agent", path, params={"format": "mermaid"})
    assert notation.headers["content-type"] == "application/vnd.mermaid"
    assert 'n1["greet"]' in notation.text
    graph = await house.get("agent", path, params={"format": "json"})
    assert graph.headers["content-type"] == "application/json"
    assert [node["reference"] for node in graph.json()["nodes"]] == ["", "/do/0/greet", ""]
    assert (await house.get("agent", path, params={"format": "png"})).status_code == 400
    missing = await house.get("agent", path.replace("1.0.0", "9.9.9"))
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")


async def test_a_picture_may_use_its_own_style_and_nothing_else(house: House) -> None:
    await _upload(house, "ops", a_flow("styled", "- greet:\n    set: {said: hello}"))
    picture = await house.get("agent", f"{DEFINITIONS}/shop/styled/1.0.0/graph")
    policy = picture.headers["content-security-policy"].split("; ")
    style = ElementTree.fromstring(picture.content).findtext("{http://www.w3.org/2000/svg}style") or ""
    own = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == ["default-src 'none'", f"style-src 'sha256-{own}'", "sandbox", "frame-ancestors 'none'"]
    assert picture.headers["x-content-type-options"] == "nosniff"


async def test_a_drawing_is_fetched_again_only_when_it_changed(house: House) -> None:
    await _upload(house, "ops", a_flow("kept", "- greet:\n    set: {said: hello}"))
    path = f"{DEFINITIONS}/shop/kept/1.0.0/graph"
    tags = {}
    for style in ("svg", "mermaid", "json"):
        for language in ("zh-CN", "en"):
            asked = {"params": {"format": style}, "headers": {"Accept-Language": language}}
            answer = await house.get("agent", path, **asked)
            tags[style, language] = tag = answer.headers["etag"]
            assert answer.headers["content-language"] == language
            assert ("开始" in answer.text) is (language == "zh-CN")
            for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
                again = {**asked, "headers": {"Accept-Language": language, "If-None-Match": known}}
                unchanged = await house.get("agent", path, **again)
                assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
                assert unchanged.headers["cache-control"] == "private, no-cache"
    assert len(set(tags.values())) == 6
    stale = {"params": {"format": "svg"}, "headers": {"If-None-Match": tags["json", "en"]}}
    assert (await house.get("agent", path, **stale)).status_code == 200


async def test_an_approver_publishes_what_somebody_else_wrote(house: House) -> None:
    await house.add_user("author-approver", Role.OPS, Role.APPROVER)
    await _upload(house, "author-approver", _greeting("10.0.0"))
    own = await house.post("author-approver", f"{DEFINITIONS}/shop/greet/10.0.0/approve")
    assert (own.status_code, problem(own)["rule"]) == (403, "four-eyes")
    approved = await house.post("approver", f"{DEFINITIONS}/shop/greet/10.0.0/approve")
    assert approved.json()["published_by"] == "approver"
    strict = DefinitionService(house.database, four_eyes=True)
    app, _ = house.with_other(definitions=strict)
    await _upload(house, "ops", _greeting("11.0.0"))
    async with house.client_of(app) as client:
        headers = {"Authorization": f"Bearer {house.tokens['ops']}"}
        refused = await client.post(f"{DEFINITIONS}/shop/greet/11.0.0/publish", headers=headers)
        assert refused.status_code == 403


async def test_the_same_request_starts_one_run(house: House) -> None:
    await house.core.publish(a_flow("once", "- wait:\n    wait: {days: 1}"))
    body = {"namespace": "shop", "name": "once", "input": {"n": 1}}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = await house.post("ops", "/api/v1/runs", body, headers=key)
    second = await house.post("ops", "/api/v1/runs", body, headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    other = await house.post("ops", "/api/v1/runs", {**body, "input": {"n": 2}}, headers=key)
    assert (other.status_code, problem(other)["title"]) == (422, "幂等键被重复用于不同请求")
    runs = await house.get("ops", "/api/v1/runs", params={"name": "once"})
    assert len(runs.json()["items"]) == 1
    key = {"Idempotency-Key": str(uuid.uuid4())}
    together = await asyncio.gather(
        *(house.post("ops", "/api/v1/runs", {**body, "input": 5}, headers=key) for _ in "ab")
    )
    assert {answer.status_code for answer in together} <= {201, 409}
    runs = await house.get("ops", "/api/v1/runs", params={"name": "once"})
    assert len(runs.json()["items"]) == 2
    named = {**body, "request_id": "E100"}
    assert (await house.post("ops", "/api/v1/runs", named)).json()["id"] == "flow/shop/once/E100"
    clash = await house.post("ops", "/api/v1/runs", {**named, "input": {"n": 3}})
    assert clash.status_code == 409


async def test_a_run_is_ordered_about(house: House) -> None:
    await house.core.publish(a_flow("slow", "- wait:\n    wait: {days: 1}", version="1.0.0"))
    async with house.core.worker():
        started = await house.post("ops", "/api/v1/runs", {"namespace": "shop", "name": "slow"})
        path = started.headers["location"]
        for order, phase in (("suspend", "suspended"), ("resume", "waiting"), ("cancel", "cancelled")):
            ordered = await house.post("supervisor", f"{path}/{order}", {"reason": "a test"})
            assert ordered.status_code == 200, ordered.text

            async def arrived(phase: str = phase) -> bool:
                return bool((await house.get("ops", path)).json()["phase"] == phase)

            await eventually(arrived)
        assert (await house.post("ops", f"{path}/retry", {})).status_code == 409
    entries = (await house.get("auditor", "/api/v1/audit", params={"action": "run."})).json()["items"]
    mine = [entry["action"] for entry in entries if path.endswith(entry["target"].removeprefix("run:"))]
    assert mine == ["run.cancel", "run.resume", "run.suspend", "run.start"]
    assert entries[0]["detail"]["reason"] == "a test"


SCHEME = """
scheme:
  name: told-back
  version: 1.0.0
  title: { zh: 推广员, en: Promoters }
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter] }
  earns: [{ name: sales, title: 实付提成, of: kept, rate: '5%' }]
"""


async def test_finance_reads_in_plain_words_what_a_scheme_does_before_it_is_in_force(house: House) -> None:
    texts = [("files", ("schemes.yaml", (SCHEME + "---\nqueue: { name: dock, title: 码头 }\n").encode(), "text/plain"))]
    uploaded = await house.say("ops", "POST", "/api/v1/definitions", files=texts)
    assert uploaded.status_code == 201, uploaded.text
    told = await house.get("finance", "/api/v1/resources/scheme/told-back/1.0.0/explained")
    whole, sales = told.json()["sentences"][:2]
    assert "每月结算" in whole["zh"]
    assert "promoter" in whole["en"]
    assert "5%" in sales["zh"]
    assert "实付提成" in sales["zh"]
    assert (await house.get("finance", "/api/v1/resources/scheme/told-back/9.0.0/explained")).status_code == 404
    refused = await house.get("finance", "/api/v1/resources/queue/dock/1.0.0/explained")
    assert refused.status_code == 400
    assert "scheme" in refused.json()["detail"]


async def test_finance_writes_and_publishes_schemes_and_no_flows(house: House) -> None:
    scheme = SCHEME.replace("told-back", "by-finance")
    assert (await _upload(house, "finance", scheme, f"{DEFINITIONS}/lint")).json()["ok"] is True
    uploaded = await _upload(house, "finance", scheme)
    assert uploaded.status_code == 201, uploaded.text
    published = await house.post("finance", "/api/v1/resources/scheme/by-finance/1.0.0/publish")
    assert (published.status_code, published.json()["published_by"]) == (200, "finance")

    another = SCHEME.replace("told-back", "beside-a-flow")
    for text in (_greeting("1.0.0"), f"{another}---\n{_greeting('1.0.0')}", "queue: { name: quay, title: 码头 }"):
        refused = await _upload(house, "finance", text)
        assert (refused.status_code, problem(refused)["permission"]) == (403, "definitions.draft")
    listed = await house.get("ops", "/api/v1/resources/scheme", params={"name": "beside-a-flow"})
    assert listed.json()["items"] == []

    await _upload(house, "ops", "queue: { name: quay, title: 码头 }")
    refused = await house.post("finance", "/api/v1/resources/queue/quay/1.0.0/publish")
    assert (refused.status_code, problem(refused)["permission"]) == (403, "definitions.publish")
    assert (await _upload(house, "agent", scheme)).status_code == 403
