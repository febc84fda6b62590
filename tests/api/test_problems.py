"""Whatever is wrong, the answer is a problem that says what and where, in the reader's language."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.api.house import House, problem

RUNS = "/api/v1/runs"


async def test_an_address_that_is_not_there(house: House) -> None:
    answer = await house.get("ops", "/api/v1/no-such-thing")
    assert answer.status_code == 404
    assert problem(answer)["detail"] == "没有这个地址，请核对路径"


async def test_a_head_is_answered_like_a_get_without_its_content(house: House) -> None:
    for who, path in (("ops", RUNS), ("ops", f"{RUNS}/nowhere"), (None, RUNS), (None, "/healthz")):
        got, head = await house.get(who, path), await house.say(who, "HEAD", path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == str(len(got.content))
    only_post = await house.say("ops", "HEAD", "/api/v1/definitions/lint")
    assert (only_post.status_code, only_post.headers["allow"]) == (405, "POST")


async def test_a_method_that_is_not_there_names_those_that_are(house: House) -> None:
    answer = await house.say("ops", "DELETE", RUNS)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert problem(answer)["title"] == "不支持的方法"


@pytest.mark.parametrize(
    ("accepted", "language", "title"),
    [
        (None, "zh-CN", "未通过身份认证"),
        ("en-GB,en;q=0.9", "en", "Authentication required"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN", "未通过身份认证"),
        ("de,en;q=0.5", "en", "Authentication required"),
        ("fr, *;q=0.1", "zh-CN", "未通过身份认证"),
        ("en;q=oops", "zh-CN", "未通过身份认证"),
    ],
)
async def test_the_reader_chooses_the_language(house: House, accepted: str | None, language: str, title: str) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    answer = await house.get(None, RUNS, headers=headers)
    content = problem(answer)
    assert answer.headers["content-language"] == language
    assert answer.headers["vary"] == "Accept-Language"
    assert content["title"] == title
    assert content["detail"] == content["message"]["en" if language == "en" else "zh"]


async def test_every_wrong_member_is_pointed_at(house: House) -> None:
    answer = await house.post("ops", RUNS, {"namespace": "apparel", "subjects": ["a", 7], "surplus": 1})
    content = problem(answer)
    assert answer.status_code == 400
    assert {error["pointer"] for error in content["errors"]} == {"/name", "/subjects/1", "/surplus"}
    assert content["errors"][0]["message"] == {"zh": "必填", "en": "this is required"}


async def test_wrong_parameters_are_pointed_at(house: House) -> None:
    answer = await house.get("ops", f"{RUNS}?size=0&phase=asleep&created_from=2026-01-01T00:00:00")
    pointers = {error["pointer"] for error in problem(answer)["errors"]}
    assert pointers == {"query/size", "query/phase/0", "query/created_from"}


@pytest.mark.parametrize("given", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_an_instant_at_the_edge_of_time_is_refused(house: House, given: str) -> None:
    answer = await house.get("auditor", "/api/v1/audit", params={"since": given})
    assert answer.status_code == 400
    assert problem(answer)["errors"][0]["pointer"] == "query/since"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "1:2"),
        (b'{"input": NaN}', "NaN"),
        (b'{"input": 1e999}', "1e999"),
        (b'\xff{"a": 1}', "utf-8"),
        (b"[" * 5000 + b"]" * 5000, "64"),
        (b'{"input": ' + b'{"a":' * 70 + b"1" + b"}" * 70 + b"}", "64"),
        (b'{"namespace": "a\\u0000b", "name": "x"}', "NUL"),
        (b'{"namespace": "a", "name": "\\ud800"}', "surrogate"),
        (b'{"input": ' + b"9" * 5000 + b"}", "4300"),
    ],
)
async def test_what_is_no_json_is_told_and_nothing_breaks(house: House, body: bytes, says: str) -> None:
    headers = {"Content-Type": "application/json", "Accept-Language": "en"}
    answer = await house.say("ops", "POST", RUNS, content=body, headers=headers)
    assert answer.status_code == 400
    assert says in problem(answer)["detail"]


async def test_brackets_within_texts_are_no_depth(house: House) -> None:
    body = {"namespace": "apparel", "name": "nothing", "input": "[" * 5000 + '\\"{'}
    answer = await house.post("ops", RUNS, body)
    assert answer.status_code == 404


async def test_another_content_type_is_refused_by_name(house: House) -> None:
    answer = await house.say("ops", "POST", RUNS, content=b"a=1", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 415
    assert problem(answer)["accepted"] == ["application/json"]


async def test_a_nul_in_the_address_is_refused(house: House) -> None:
    assert (await house.get("ops", f"{RUNS}?subject=a%00b")).status_code == 400
    assert (await house.get("ops", "/api/v1/users/a%00b")).status_code == 400


async def test_a_bug_of_ours_gives_an_incident_and_no_traceback(house: House) -> None:
    class Broken:
        async def search(self, *_: Any) -> None:
            raise ZeroDivisionError("the secret reason")

    app, _ = house.with_other(runs=Broken())
    async with house.client_of(app) as client:
        with capture_logs() as logged:
            answer = await client.get(RUNS, headers={"Authorization": f"Bearer {house.tokens['ops']}"})
    assert answer.status_code == 500
    incident = problem(answer)["incident"]
    assert "secret reason" not in answer.text
    assert "Traceback" not in answer.text
    told = next(line for line in logged if line["event"] == "unexpected error")
    assert told["incident"] == incident
    assert isinstance(told["exc_info"], ZeroDivisionError)
