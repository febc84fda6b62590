"""One table, platform by check: what every connector must do whatever the platform; `test_contract_connection` and
`test_contract_reading` go on."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.accounts import secret_fields
from connectors.capabilities import check_capabilities
from connectors.connection_report import ConnectionFault
from connectors.tokens import MemoryTokenStore, Token, TokenName
from domain.catalog import CATALOG
from domain.catalog.event_types import KNOWN_EVENT_TYPES
from domain.problems import (
    AuthenticationProblem,
    ProblemError,
    RateLimitProblem,
    Text,
    UnavailableProblem,
    ValidationProblem,
)
from simulator.registry import all_platforms
from tests.connectors.case import Case, Effect, Pushes
from tests.connectors.cases import ACTING, CASES, PUSHING, RECEIVING
from tests.connectors.harness import CONNECTORS, Attempts, Outside, connector, perform


@pytest.fixture(params=CASES, ids=lambda case: case.platform)
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture(params=[case for case in CASES if case.tokens], ids=lambda case: case.platform)
def tokened(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture(params=[pair for pair in ACTING if pair[0].tokens], ids=lambda pair: pair[0].platform)
def acting_by_token(request: pytest.FixtureRequest) -> tuple[Case, Effect]:
    chosen: tuple[Case, Effect] = request.param
    return chosen


@pytest.fixture(params=ACTING, ids=lambda pair: pair[0].platform)
def acting(request: pytest.FixtureRequest) -> tuple[Case, Effect]:
    chosen: tuple[Case, Effect] = request.param
    return chosen


@pytest.fixture(params=PUSHING, ids=lambda pair: pair[0].platform)
def pushing(request: pytest.FixtureRequest) -> tuple[Case, Pushes]:
    chosen: tuple[Case, Pushes] = request.param
    return chosen


def rule(case: Case, fault: str, api: str, **more: Any) -> dict[str, Any]:
    return {"match": {"platform": case.platform, "api": api}, "fault": fault, **more}


def test_every_connector_has_its_row() -> None:
    rows = [case.platform for case in CASES]
    assert sorted([*rows, *RECEIVING]) == sorted(CONNECTORS), "a connector has no row, or two"
    assert not [platform for platform in RECEIVING if CONNECTORS[platform].calls], "what makes calls has a row"


def test_every_connector_keeps_its_declarations(case: Case) -> None:
    chosen = CONNECTORS[case.platform]
    check_capabilities(chosen.client, chosen.calls)
    assert chosen.queue == f"platform.{case.platform}"
    assert all(CATALOG[call.name] is call for call in chosen.calls)
    assert all(call.parse_result(call.example) for call in chosen.calls)


async def test_a_good_account_passes_its_connection_test(world: Outside, case: Case) -> None:
    report = await connector(case.platform).test_connection(await world.account(case.platform), world.link)
    assert (report.ok, report.fault, report.hint) == (True, None, None), report.message


async def test_a_wrong_secret_is_said_in_plain_words(world: Outside, case: Case) -> None:
    good = await world.account(case.platform)
    await perform(await world.open(case.platform), case.read, **await (case.readable or case.subject)(world))
    for secret in case.secrets:
        account = replace(good, settings={**good.settings, secret: "0" * 32})
        report = await connector(case.platform).test_connection(account, world.link)
        assert report.fault is ConnectionFault.CREDENTIALS, "although the workers' token is still good"
        assert "secret" in report.message.zh
        assert "secret" in report.message.en
        assert report.hint is not None
        assert secret in report.hint.zh
        assert "0" * 32 not in repr(report)


async def test_an_incomplete_account_names_the_missing_field(world: Outside, case: Case) -> None:
    account = await world.account(case.platform)
    bare = replace(account, settings={})
    report = await connector(case.platform).test_connection(bare, world.link)
    assert report.fault is ConnectionFault.SETTINGS
    assert case.first_setting in report.message.en


F = ConnectionFault
TELL_THE_ADDRESS = ("official_account", "wechat_store", "wecom")
"""Platforms whose refusal names the address that has to be entered."""


@pytest.mark.parametrize(
    ("fault", "expected", "says"),
    [
        ("forbidden", F.PERMISSION, "没有该接口的权限"),
        ("untrusted_ip", F.ADDRESS, ""),
        ("busy", F.BUSY, ""),
        ("quota", F.BUSY, "限流"),
        ("429", F.BUSY, "限流"),
        ("5xx", F.PLATFORM, "HTTP 502"),
        ("token_dies", F.PLATFORM, "访问令牌"),
        ("timeout_before", F.NETWORK, "没有在限时内应答"),
    ],
)
async def test_what_keeps_an_account_from_working_is_named_with_what_to_do(
    world: Outside, case: Case, fault: str, expected: ConnectionFault, says: str
) -> None:
    if fault == "token_dies" and not case.tokens:
        pytest.skip("each call is signed by itself")
    expected = case.faults.get(fault, expected)
    await world.break_things(rule(case, fault, case.tested_api, seconds=3))
    report = await connector(case.platform).test_connection(await world.account(case.platform), world.link)
    assert (report.ok, report.fault) == (False, expected), report.message
    assert report.hint is not None
    assert fault in case.faults or says in report.message.zh
    assert "稍后自动重试" not in report.message.zh, "nobody tries a test again"
    if fault == "untrusted_ip":
        assert "IP" in report.hint.zh
        assert case.platform not in TELL_THE_ADDRESS or "203.0.113.9" in report.message.zh


async def test_a_platform_that_cannot_be_reached_is_a_matter_of_the_network(world: Outside, case: Case) -> None:
    account = await world.account(case.platform, base_url="http://127.0.0.1:9")
    report = await connector(case.platform).test_connection(account, world.link)
    assert (report.fault, report.message.en) == (F.NETWORK, f"{case.platform} cannot be reached")
    assert report.hint is not None
    assert "base_url" in report.hint.en


async def test_a_database_that_is_away_tells_nothing_of_an_account(world: Outside) -> None:
    class Away(MemoryTokenStore):
        async def load(self, name: TokenName) -> Token | None:
            raise UnavailableProblem("away")

    granted = (await world.sim.youzan_token())["data"]
    account = await world.account("youzan", refresh_token=granted["refresh_token"])
    with pytest.raises(UnavailableProblem):
        await connector("youzan").test_connection(account, replace(world.link, tokens=Away()))


async def test_a_test_leaves_the_workers_their_token(world: Outside, case: Case) -> None:
    client, subject = await world.open(case.platform), await (case.readable or case.subject)(world)
    await perform(client, case.read, **subject)
    await connector(case.platform).test_connection(await world.account(case.platform), world.link)
    await perform(client, case.read, **subject)
    tokens = [token for token in world.sim.app.state.world.tokens if token.platform == case.platform]
    assert not [token for token in tokens if token.killed]


async def test_a_corp_without_an_application_is_told_what_it_lacks(world: Outside) -> None:
    account = await world.account("wecom", agent_id=None, agent_secret=None)
    report = await connector("wecom").test_connection(account, world.link)
    assert report.ok
    assert report.hint is not None
    assert "agent_secret" in report.hint.zh


async def test_an_effect_happens_once_and_says_so(world: Outside, acting: tuple[Case, Effect]) -> None:
    case, effect = acting
    client, subject = await world.open(case.platform), await case.subject(world)
    await perform(client, effect.call, **subject, **effect.more)
    assert await world.effects(kind=effect.ledger_kind, **subject) == 1


@pytest.mark.parametrize("fault", ["429", "5xx", "quota", "concurrency", "busy", "timeout_before", "timeout_after"])
async def test_an_effect_happens_once_whatever_fails(world: Outside, acting: tuple[Case, Effect], fault: str) -> None:
    case, effect = acting
    client, subject = await world.open(case.platform), await case.subject(world)
    await world.break_things(rule(case, fault, effect.api, times=2, seconds=3))
    await perform(client, effect.call, **subject, **effect.more)
    assert await world.effects(kind=effect.ledger_kind, **subject) == 1


async def test_a_timeout_leaves_the_outcome_unknown_and_a_refusal_does_not(
    world: Outside, acting: tuple[Case, Effect]
) -> None:
    case, effect = acting
    client, subject = await world.open(case.platform), await case.subject(world)
    call = CATALOG[effect.call]
    request = call.parse_arguments({**subject, **effect.more})
    await world.break_things(rule(case, "timeout_after", effect.api, times=1, seconds=3))
    with pytest.raises(ProblemError) as silence:
        await Attempts(client, call, request, "key-1").until_done(most=1)
    assert silence.value.problem.as_dict()["outcome"] == "unknown"
    await world.break_things(rule(case, "429", effect.api, times=1, seconds=7))
    if effect.spends:
        request = call.parse_arguments({**await case.subject(world), **effect.more})
    with pytest.raises(RateLimitProblem) as refusal:
        await Attempts(client, call, request, "key-2").until_done(most=1)
    problem = refusal.value.problem.as_dict()
    assert (problem["outcome"], problem["retry_after_s"]) == ("not_done", 7)


async def test_asking_about_an_unknown_outcome_may_fail_too(world: Outside, acting: tuple[Case, Effect]) -> None:
    case, effect = acting
    client, subject = await world.open(case.platform), await case.subject(world)
    await world.break_things(
        rule(case, "timeout_after", effect.api, times=1, seconds=3),
        rule(case, "429", effect.query_api, times=2, seconds=1),
    )
    await perform(client, effect.call, **subject, **effect.more)
    assert await world.effects(kind=effect.ledger_kind, **subject) == 1


async def test_another_key_is_another_effect(world: Outside) -> None:
    client, friend = await world.open("wecom"), await world.sim.friend()
    message = {"external_userid": friend["external_userid"], "text": "您的退款已到账"}
    await perform(client, "wecom.send_message", key="refund-1", **message)
    api = {"platform": "wecom", "api": "externalcontact/add_msg_template"}
    await world.break_things({"match": api, "fault": "timeout_before", "times": 1, "seconds": 3})
    await perform(client, "wecom.send_message", key="refund-2", **message)
    assert await world.effects(kind="message", external_userid=friend["external_userid"]) == 2


async def test_a_token_that_dies_early_is_replaced_without_anybody_noticing(
    world: Outside, acting_by_token: tuple[Case, Effect]
) -> None:
    case, effect = acting_by_token
    client, subject = await world.open(case.platform), await case.subject(world)
    await perform(client, case.read, **subject)
    await world.sim.admin(
        "POST", "/tokens/kill", json={"platform": case.platform, "account": (await world.account(case.platform)).slug}
    )
    await perform(client, effect.call, **subject, **effect.more)
    assert await world.effects(kind=effect.ledger_kind, **subject) == 1


async def test_tokens_that_keep_dying_are_an_error_worth_retrying(world: Outside, tokened: Case) -> None:
    case = tokened
    client, subject = await world.open(case.platform), await case.subject(world)
    await world.break_things(rule(case, "token_dies", "*"))
    call = CATALOG[case.read]
    with pytest.raises(AuthenticationProblem) as error:
        await Attempts(client, call, call.parse_arguments(subject), "").until_done(most=1)
    assert error.value.problem.as_dict()["retryable"] is True


async def test_many_calls_at_once_fetch_one_token(world: Outside, tokened: Case) -> None:
    case = tokened
    client, subject = await world.open(case.platform), await case.subject(world)
    await asyncio.gather(*(perform(client, case.read, **subject) for _ in range(20)))
    tokens = [token for token in world.sim.app.state.world.tokens if token.platform == case.platform]
    assert len(tokens) == 1


async def test_a_genuine_push_becomes_a_known_event(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    account, request = await world.account(case.platform), await pushes.send(world)
    verified = connector(case.platform).verify(request, account)
    events = connector(case.platform).to_events(verified, account)
    assert events
    assert {event.type for event in events} <= set(KNOWN_EVENT_TYPES)
    assert events[0].source == f"/{case.platform}/{account.slug}"
    assert events[0].data["account"] == account.slug
    assert events == connector(case.platform).to_events(verified, account)
    answer = connector(case.platform).acknowledge(verified, account)
    assert (answer.status, pushes.answer in answer.body) == (200, True)


@pytest.mark.parametrize("kind", [AuthenticationProblem, ValidationProblem, RateLimitProblem, UnavailableProblem])
async def test_a_refusal_is_no_success_to_the_platform(
    world: Outside, pushing: tuple[Case, Pushes], kind: type[ProblemError]
) -> None:
    case, _ = pushing
    answer = connector(case.platform).refuse(kind(Text("没有成功", "No luck")))
    assert answer.status == kind.status
    assert "没有成功 · No luck" in answer.body.decode()
    platforms = all_platforms(world.sim.app.state.world)
    assert not platforms[case.platform].accepts(answer.status, answer.body)


async def test_nobody_is_whom_no_push_is_for(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    request = await pushes.send(world)
    with pytest.raises(AuthenticationProblem):
        connector(case.platform).verify(request, connector(case.platform).nobody)


async def test_a_kind_that_is_of_no_use_becomes_no_event(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    account, request = await world.account(case.platform), await pushes.send(world)
    verified = connector(case.platform).verify(request, account)
    assert connector(case.platform).uses(verified.kind)
    for kind in ("", "something.new", *pushes.useless):
        assert not connector(case.platform).uses(kind)
    for kind in pushes.useless:
        assert connector(case.platform).to_events(replace(verified, kind=kind), account) == []


async def test_every_delivery_of_a_push_has_the_same_key_and_the_same_event(
    world: Outside, pushing: tuple[Case, Pushes]
) -> None:
    case, pushes = pushing
    await world.break_things(rule(case, "duplicate_push", pushes.event, copies=3))
    account, first = await world.account(case.platform), await pushes.send(world)
    others = await world.pushes(case.platform, 4)
    verified = [connector(case.platform).verify(request, account) for request in (first, *others)]
    assert len({record.dedupe_key for record in verified}) == 1
    events = [connector(case.platform).to_events(record, account)[0] for record in verified]
    assert len({(event.source, event.id) for event in events}) == 1


async def test_a_forged_push_is_refused(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    await world.break_things(rule(case, "forge_push", pushes.event))
    account = await world.account(case.platform)
    await pushes.send(world)
    refused = 0
    for request in await world.pushes(case.platform, 2):
        try:
            connector(case.platform).verify(request, account)
        except AuthenticationProblem:
            refused += 1
    assert refused == 1


async def test_a_changed_byte_is_refused(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    account, request = await world.account(case.platform), await pushes.send(world)
    middle = len(request.body) // 2
    flipped = request.body[:middle] + bytes([request.body[middle] ^ 1]) + request.body[middle + 1 :]
    with pytest.raises((AuthenticationProblem, ValidationProblem)):
        connector(case.platform).verify(replace(request, body=flipped), account)


async def test_a_push_for_another_account_is_refused(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    request = await pushes.send(world)
    with pytest.raises(AuthenticationProblem):
        connector(case.platform).verify(request, await world.account(case.platform, **pushes.stranger))


@pytest.mark.parametrize("body", [b"", b"not json, no xml", b"\xff\xfe\x00", b"[" * 5000, b"<a>" * 5000], ids=repr)
async def test_garbage_is_refused_not_crashed_on(world: Outside, pushing: tuple[Case, Pushes], body: bytes) -> None:
    case, pushes = pushing
    account, request = await world.account(case.platform), await pushes.send(world)
    with pytest.raises((AuthenticationProblem, ValidationProblem)):
        connector(case.platform).verify(replace(request, body=body[:200_000]), account)


async def test_a_push_told_again_within_its_time_has_the_same_key(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    account, request = await world.account(case.platform), await pushes.send(world)
    within = timedelta(days=1) if pushes.window is None else pushes.window - timedelta(minutes=1)
    later = replace(request, received_at=request.received_at + within)
    first, second = (connector(case.platform).verify(each, account) for each in (request, later))
    assert first.dedupe_key == second.dedupe_key


async def test_an_old_timestamp_is_refused(world: Outside, pushing: tuple[Case, Pushes]) -> None:
    case, pushes = pushing
    if pushes.window is None:
        pytest.skip("nothing signed says when it was sent; a repetition is caught by its key")
    account, request = await world.account(case.platform), await pushes.send(world)
    for off in (pushes.window + timedelta(minutes=1), -pushes.window - timedelta(minutes=1)):
        with pytest.raises(AuthenticationProblem, match=f"{pushes.window // timedelta(minutes=1)} minutes"):
            connector(case.platform).verify(replace(request, received_at=request.received_at + off), account)
    # Clocks that disagree by less than that are believed.
    for off in (pushes.window - timedelta(minutes=1), -pushes.window + timedelta(minutes=1)):
        assert connector(case.platform).verify(replace(request, received_at=request.received_at + off), account)


async def test_nothing_secret_reaches_logs_or_problems(
    world: Outside, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    account = await world.account(case.platform)
    client, subject = await world.open(case.platform), await (case.readable or case.subject)(world)
    await perform(client, case.read, **subject)
    await world.break_things(rule(case, "5xx", "*"))
    call = CATALOG[case.read]
    with pytest.raises(ProblemError) as error:
        await Attempts(client, call, call.parse_arguments(subject), "").until_done(most=1)
    secrets = _secrets(case.platform, account.settings) | {token.id for token in world.sim.app.state.world.tokens}
    said = caplog.text + str(error.value.problem.as_dict()) + repr(account) + repr(client.__dict__)
    assert [secret for secret in secrets if secret in said] == []


def _secrets(platform: str, settings: Mapping[str, Any]) -> set[str]:
    return {str(settings[name]) for name in secret_fields(CONNECTORS[platform].settings) if settings.get(name)}
