"""Users, tokens, accounts, secrets, units and the audit log over HTTP: what goes in, and what never comes out."""

import uuid
from typing import Any

from domain.access import Role
from services.audit import seal_pending
from tests.actors import PASSWORD
from tests.api.house import House, problem
from tests.connectors.harness import outside

NEW_USER: dict[str, Any] = {
    "login": "li.lei",
    "name": "李雷",
    "roles": ["agent"],
    "scope": {"kind": "branch", "branch": "/east/"},
    "unit_path": "/east/",
    "queues": ["warehouse"],
    "password": PASSWORD,
}


async def test_a_user_is_made_changed_locked_out_and_let_in_again(house: House) -> None:
    made = await house.post("admin", "/api/v1/users", NEW_USER)
    assert (made.status_code, made.json()["roles"]) == (201, ["agent"])
    assert "password" not in made.text
    assert (await house.post("admin", "/api/v1/users", NEW_USER)).status_code == 409
    login = {"login": "li.lei", "password": PASSWORD}
    session = (await house.post(None, "/api/v1/session", login)).json()["token"]
    headers = {"Authorization": f"Bearer {session}"}
    assert (await house.get(None, "/api/v1/definitions", headers=headers)).status_code == 200
    assert (await house.get(None, "/api/v1/users", headers=headers)).status_code == 403
    rights = await house.say("admin", "PATCH", "/api/v1/users/li.lei/rights", json={"roles": ["supervisor"]})
    assert (rights.json()["roles"], rights.json()["queues"]) == (["supervisor"], ["warehouse"])
    assert (await house.get(None, "/api/v1/users", headers=headers)).status_code == 200, "new rights count at once"
    assert (await house.post("admin", "/api/v1/users/li.lei/disable")).json()["active"] is False
    assert (await house.get(None, "/api/v1/session", headers=headers)).status_code == 401
    assert (await house.post(None, "/api/v1/session", login)).status_code == 401
    assert (await house.post("admin", "/api/v1/users/li.lei/enable")).json()["active"] is True
    changed = await house.say("admin", "PUT", "/api/v1/users/li.lei/password", json={"password": "another password"})
    assert changed.status_code == 204
    assert (await house.post(None, "/api/v1/session", login)).status_code == 401
    assert (await house.post(None, "/api/v1/session", {**login, "password": "another password"})).status_code == 201
    assert (await house.get("admin", "/api/v1/users/li.lei")).json()["scope"]["branch"] == "/east/"


async def test_nobody_raises_their_own_rights(house: House) -> None:
    raised = await house.say("admin", "PATCH", "/api/v1/users/admin/rights", json={"roles": ["admin", "finance"]})
    assert raised.status_code == 403
    beyond = await house.post("agent", "/api/v1/tokens", {"name": "more", "scopes": ["users.manage"]})
    assert (beyond.status_code, "users.manage" in problem(beyond)["detail"]) == (403, True)


async def test_ones_own_password_needs_the_present_one(house: House) -> None:
    await house.add_user("changer", Role.AGENT)
    change = {"current": "not the password", "password": "a better password"}
    assert (await house.say("changer", "PUT", "/api/v1/session/password", json=change)).status_code == 401
    right = {**change, "current": PASSWORD}
    assert (await house.say("changer", "PUT", "/api/v1/session/password", json=right)).status_code == 204
    easy = {"current": "a better password", "password": "aaaaaaaaaaaa"}
    assert (await house.say("changer", "PUT", "/api/v1/session/password", json=easy)).status_code == 400


async def test_too_many_wrong_passwords_have_to_wait(house: House) -> None:
    for _ in range(5):
        await house.post(None, "/api/v1/session", {"login": "supervisor", "password": "not the password"})
    refused = await house.post(None, "/api/v1/session", {"login": "supervisor", "password": PASSWORD})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 60


async def test_a_token_is_shown_once_even_when_its_request_is_repeated(house: House) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = await house.post("ops", "/api/v1/tokens", {"name": "ci", "life_days": 7}, headers=key)
    second = await house.post("ops", "/api/v1/tokens", {"name": "ci", "life_days": 7}, headers=key)
    assert first.json()["text"].startswith("tandem_")
    assert (second.status_code, second.json()["text"]) == (201, None)
    assert second.json()["token"] == first.json()["token"], "no second token was made"
    headers = {"Authorization": f"Bearer {first.json()['text']}"}
    assert (await house.get(None, "/api/v1/runs", headers=headers)).status_code == 200
    prefix = first.json()["token"]["prefix"]
    assert (await house.say("ops", "DELETE", f"/api/v1/tokens/{prefix}")).status_code == 204
    assert (await house.get(None, "/api/v1/runs", headers=headers)).status_code == 401


async def test_a_refused_request_gives_its_key_back(house: House) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    unit = {"path": "/north/s1/", "name": "S1"}
    assert (await house.post("admin", "/api/v1/organisation-units", unit, headers=key)).status_code == 404
    await house.post("admin", "/api/v1/organisation-units", {"path": "/north/", "name": "North"})
    assert (await house.post("admin", "/api/v1/organisation-units", unit, headers=key)).status_code == 201
    units = (await house.get("auditor", "/api/v1/organisation-units")).json()["items"]
    assert {"/", "/north/", "/north/s1/"} <= {each["path"] for each in units}


async def test_a_key_must_be_one(house: House) -> None:
    unit = {"path": "/south/", "name": "South"}
    for key in ("", " ", "x" * 200, "a b"):
        answer = await house.post("admin", "/api/v1/organisation-units", unit, headers={"Idempotency-Key": key})
        assert answer.status_code == 400, key


async def test_one_persons_key_is_not_anothers(house: House) -> None:
    key = {"Idempotency-Key": "the-same-key-0001"}
    mine = await house.post("ops", "/api/v1/tokens", {"name": "mine"}, headers=key)
    theirs = await house.post("agent", "/api/v1/tokens", {"name": "theirs"}, headers=key)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert theirs.json()["token"]["login"] == "agent"


async def test_credentials_go_in_and_never_come_out(house: House) -> None:
    account = {
        "platform": "youzan",
        "slug": "kept-shop",
        "name": "示例店",
        "unit_path": "/east/",
        "credentials": {"client_secret": "do-not-tell-1"},
        "settings": {"client_id": "app-1", "kdt_id": 42},
    }
    made = await house.post("admin", "/api/v1/accounts", account)
    assert (made.status_code, made.json()["credential_names"]) == (201, ["client_secret"])
    path = "/api/v1/accounts/youzan/kept-shop"
    misspelt = {**account, "slug": "other", "credentials": {"client_sekret": "do-not-tell-1"}}
    wrong = await house.post("admin", "/api/v1/accounts", misspelt)
    assert wrong.status_code == 400
    assert "client_secret：必填；client_sekret：没有这个字段" in problem(wrong)["detail"]
    unknown = await house.post("admin", "/api/v1/accounts", {**account, "platform": "nobody"})
    assert (unknown.status_code, "wecom, youzan" in problem(unknown)["detail"]) == (404, True)
    emptied = await house.say("admin", "PUT", f"{path}/credentials", json={"credentials": {"other": "x"}})
    assert emptied.status_code == 400
    rotated = await house.say(
        "admin", "PUT", f"{path}/credentials", json={"credentials": {"client_secret": "do-not-tell-2"}}
    )
    assert rotated.status_code == 200
    change = {"name": "旗舰店", "settings": {"live_coupons": ["8810042"]}}
    changed = await house.say("admin", "PATCH", path, json=change)
    assert (changed.status_code, changed.json()["name"]) == (200, "旗舰店")
    assert changed.json()["settings"] == {"client_id": "app-1", "kdt_id": 42, "live_coupons": ["8810042"]}
    careless = await house.say("admin", "PATCH", path, json={"settings": {"client_secret": "do-not-tell-3"}})
    assert (careless.status_code, "client_secret 是机密" in problem(careless)["detail"]) == (400, True)
    assert (await house.post("admin", f"{path}/disconnect")).json()["active"] is False
    assert (await house.post("admin", f"{path}/reconnect")).json()["active"] is True
    told = [
        made,
        rotated,
        changed,
        careless,
        await house.get("auditor", path),
        await house.get("finance", "/api/v1/accounts"),
    ]
    told.append(await house.get("auditor", "/api/v1/audit", params={"target": "account:youzan/kept-shop"}))
    assert all("do-not-tell" not in answer.text for answer in told)
    assert [entry["action"] for entry in told[-1].json()["items"]] == [
        "account.reconnect",
        "account.disconnect",
        "account.change",
        "account.rotate",
        "account.connect",
    ]


async def test_each_platform_tells_what_its_accounts_need(house: House) -> None:
    answer = await house.get("auditor", "/api/v1/accounts/platforms")
    assert answer.status_code == 200
    platforms = {each["platform"]: each for each in answer.json()["items"]}
    assert platforms["youzan"]["title"] == {"zh": "有赞", "en": "Youzan"}
    fields = {each["name"]: each for each in platforms["youzan"]["fields"]}
    assert (fields["client_secret"]["secret"], fields["client_secret"]["required"]) == (True, True)
    assert (fields["accept_body_sign"]["type"], fields["accept_body_sign"]["default"]) == ("boolean", False)
    methods = next(each for each in platforms["taobao"]["fields"] if each["name"] == "sign_method")
    assert methods["choices"] == ["md5", "hmac", "hmac-sha256"]


async def test_an_accounts_connection_is_tested_in_words(house: House) -> None:
    async with outside() as world:
        shown = dict((await world.account("youzan")).settings)
        account = {
            "platform": "youzan",
            "slug": "tested-shop",
            "name": "示例店",
            "credentials": {"client_secret": shown.pop("client_secret")},
            "settings": shown,
        }
        assert (await house.post("admin", "/api/v1/accounts", account)).status_code == 201
        path = "/api/v1/accounts/youzan/tested-shop"
        good = await house.post("admin", f"{path}/test")
        assert good.status_code == 200
        assert good.json() == {
            "ok": True,
            "fault": None,
            "message": {
                "zh": "连接正常，可以读取订单、退款、商品与优惠券",
                "en": "It works: orders, refunds, goods and coupons can be read",
            },
            "hint": None,
        }
        wrong = {"credentials": {"client_secret": "do-not-tell-3"}}
        await house.say("admin", "PUT", f"{path}/credentials", json=wrong)
        bad = await house.post("admin", f"{path}/test")
        assert (bad.status_code, bad.json()["ok"], bad.json()["fault"]) == (200, False, "credentials")
        assert "client_secret" in bad.json()["hint"]["zh"]
        assert "do-not-tell-3" not in bad.text
    gone = (await house.post("admin", f"{path}/test")).json()
    assert (gone["fault"], gone["message"]["zh"]) == ("network", "连接不上平台 youzan")
    entries = (await house.get("auditor", "/api/v1/audit", params={"action": "account.test"})).json()["items"]
    assert [(entry["actor"], entry["detail"]["fault"]) for entry in entries] == [
        ("admin", "network"),
        ("admin", "credentials"),
        ("admin", None),
    ]


async def test_secrets_are_named_and_never_shown(house: House) -> None:
    both = {"value": "a", "members": {"b": "c"}}
    assert (await house.say("admin", "PUT", "/api/v1/secrets/both", json=both)).status_code == 400
    members = {"members": {"user": "u", "password": "do-not-tell-3"}}
    assert (await house.say("admin", "PUT", "/api/v1/secrets/warehouse", json=members)).status_code == 204
    assert (
        await house.say("admin", "PUT", "/api/v1/secrets/plain", json={"value": "do-not-tell-4"})
    ).status_code == 204
    listed = await house.get("ops", "/api/v1/secrets")
    shown = {each["name"]: each["members"] for each in listed.json()["items"]}
    assert shown == {"plain": None, "warehouse": ["password", "user"]}
    assert "do-not-tell" not in listed.text
    assert (await house.say("admin", "DELETE", "/api/v1/secrets/plain")).status_code == 204
    assert (await house.say("admin", "DELETE", "/api/v1/secrets/plain")).status_code == 404


async def test_the_audit_chain_is_verified_from_a_head_kept_elsewhere(house: House) -> None:
    await seal_pending(house.database)
    report = (await house.get("auditor", "/api/v1/audit/verification")).json()
    assert (report["intact"], report["pending"]) == (True, 0)
    head = report["head"]
    again = await house.get("auditor", "/api/v1/audit/verification", params=head)
    assert again.json()["intact"] is True
    ahead = {"position": head["position"] + 5, "seal": head["seal"]}
    cut = await house.get("auditor", "/api/v1/audit/verification", params=ahead)
    assert [finding["kind"] for finding in cut.json()["findings"]] == ["truncated"]
    half = await house.get("auditor", "/api/v1/audit/verification", params={"position": 1})
    assert problem(half)["errors"] == [{"pointer": "query/seal"}]


async def test_the_catalog_tells_functions_events_and_the_schema_of_definitions(house: House) -> None:
    functions = {each["name"]: each for each in (await house.get("agent", "/api/v1/catalog/functions")).json()["items"]}
    assert functions["youzan.agree_refund"]["effect"] == "keyed"
    assert functions["youzan.agree_refund"]["input"]["type"] == "object"
    one = await house.get("agent", "/api/v1/catalog/functions/youzan.get_refund")
    assert one.json() == functions["youzan.get_refund"]
    assert (await house.get("agent", "/api/v1/catalog/functions/youzan.nothing")).status_code == 404
    kinds = (await house.get("agent", "/api/v1/catalog/event-types")).json()["items"]
    assert "tandem.refund.created" in {each["name"] for each in kinds}
    schema = (await house.get("agent", "/api/v1/catalog/flow-schema")).json()
    assert "document" in schema["required"]
