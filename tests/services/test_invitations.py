"""Orders that came by no code are their buyer's inviter's: of the payee at the upper end of the chain."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.access import Role
from domain.canonical import Buyer
from domain.canonical.keys import IdentityKey
from domain.problems import AuthorizationProblem, NotFoundProblem, ValidationProblem
from domain.settlement.levels import ANY_LEVELS
from domain.settlement.payees import NewPayee
from services.invitations import InvitationService, Inviter
from storage.engine import Database
from storage.erasing import Erasing
from storage.identities import Identities
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor
from tests.services.test_selling import NOW, QIAN, RULES, WHOLE, Counter, an_order

INVITED = RULES.replace("[channel, {{ scan: {{ within-days: 30 }} }}]", "[channel, WAY]").replace(
    "    store: shop\n", ""
)
WEEK_AGO = NOW - timedelta(days=7)


@pytest.fixture
async def counter(database: Database) -> Counter:
    """Nobody has come by a code; A, B and C have bought something before anybody looked at orders."""
    found = Counter(database)
    for number, who in enumerate("ABC"):
        early = NOW - timedelta(days=60)
        order = an_order(
            f"E0{number}", buyer=Buyer(unionid=who), created_at=early, paid_at=early, occurred_at=early, channel=None
        )
        await found.told(order, at=early)
    await found.register.put(QIAN, [NewPayee(code="P1", name="名", role="promoter", since=date(2026, 1, 1))])
    return found


async def customer(counter: Counter, who: str) -> UUID:
    async with UnitOfWork(counter.database) as work:
        (found,) = (await Identities(work).find([IdentityKey("unionid", "", who)])).values()
        return found.customer_id


async def invited(counter: Counter, who: str, by: str, days_ago: int = 7) -> None:
    inviter = Inviter(payee=by) if by == "P1" else Inviter(customer=await customer(counter, by))
    at = NOW - timedelta(days=days_ago)
    await InvitationService(counter.database).record(QIAN, await customer(counter, who), inviter, at, "拼团邀请")
    await counter.settle()


async def bought(counter: Counter, who: str) -> bool:
    """Whether an order of theirs is P1's."""
    before = (await counter.sold()).get("P1 paid", (0, 0, 0, 0))
    await counter.told(an_order(f"E-{who}-{uuid4().hex[:6]}", buyer=Buyer(unionid=who), channel=None))
    return (await counter.sold()).get("P1 paid", (0, 0, 0, 0)) != before


async def test_the_chain_is_followed_up_to_a_payee(counter: Counter) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "{{ inviter: {{ levels: 2 }} }}"))
    await counter.settle()
    await invited(counter, "A", "P1", 30)
    await invited(counter, "B", "A", 20)
    await invited(counter, "C", "B", 10)
    assert [await bought(counter, who) for who in "ABC"] == [True, True, False], "C is three invitations away"
    async with UnitOfWork(counter.database) as work:
        rows = await work.session.execute(
            text("SELECT DISTINCT way, split_part(evidence, ':', 1) AS clue FROM attributions")
        )
        assert [tuple(row) for row in rows] == [("inviter", "invitation")]


async def test_an_invitation_that_is_told_late_finds_orders_that_were_nobodys(counter: Counter) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "inviter"))
    await counter.settle()
    assert not await bought(counter, "A")
    await invited(counter, "A", "P1")
    assert (await counter.sold())["P1 paid"] == WHOLE


async def waiting(counter: Counter) -> tuple[int, int]:
    """How many orders wait to be looked at, and how many sweeps."""
    async with UnitOfWork(counter.database) as work:
        queued = await work.session.scalar(text("SELECT count(*) FROM sale_queue"))
        sweeps = await work.session.scalar(text("SELECT count(*) FROM sale_sweeps WHERE done_at IS NULL"))
        return int(queued or 0), int(sweeps or 0)


async def test_an_invitation_looks_at_the_orders_of_those_below_and_no_others(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "{{ inviter: {{ levels: 2 }} }}"))
    await counter.settle()
    await invited(counter, "B", "A", 20)
    await invited(counter, "C", "B", 20)
    for who in "ABC":
        assert not await bought(counter, who)
    service, invitee = InvitationService(counter.database), await customer(counter, "A")
    await service.record(QIAN, invitee, Inviter(payee="P1"), WEEK_AGO, "拼团邀请")
    assert await waiting(counter) == (2, 0), "those of A and B: C is three invitations away"
    await counter.settle()
    monkeypatch.setattr("services.invitations.MOST_AT_ONCE", 1)
    await service.record(QIAN, invitee, Inviter(payee="P1"), WEEK_AGO - timedelta(days=1), "海报")
    assert await waiting(counter) == (0, 1), "of too many, all are looked at"
    await counter.settle()
    await counter.publish(rules=INVITED.replace("WAY", "influencer"), version="2.0.0")
    await counter.settle()
    await service.record(QIAN, invitee, Inviter(payee="P1"), WEEK_AGO - timedelta(days=2), "海报")
    assert await waiting(counter) == (0, 0), "nobody's orders go by invitations"


async def test_who_was_invited_later_or_too_long_ago_is_nobodys(counter: Counter) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "{{ inviter: {{ within-days: 10 }} }}"))
    await counter.settle()
    await invited(counter, "A", "P1", -0)
    await invited(counter, "B", "P1", 11)
    await invited(counter, "C", "P1", 10)
    an_hour_ago = NOW - timedelta(hours=1)
    await counter.told(
        an_order("EA", buyer=Buyer(unionid="A"), channel=None, created_at=an_hour_ago, paid_at=an_hour_ago)
    )
    assert await counter.sold() == {}
    assert [await bought(counter, who) for who in "BC"] == [False, True]


async def test_the_first_invitation_counts_whoever_is_told_first(counter: Counter) -> None:
    await counter.register.put(QIAN, [NewPayee(code="P2", name="名", role="promoter", since=date(2026, 1, 1))])
    await counter.publish(rules=INVITED.replace("WAY", "inviter"))
    await counter.settle()
    service, who = InvitationService(counter.database), await customer(counter, "A")
    await service.record(QIAN, who, Inviter(payee="P2"), WEEK_AGO, "海报")
    for _ in range(2):
        shown = await service.record(QIAN, who, Inviter(payee="P1"), WEEK_AGO - timedelta(days=1), "拼团邀请")
    assert [(each.inviter.payee, each.counts) for each in shown] == [("P1", True), ("P2", False)], "said twice is one"
    assert await bought(counter, "A")


async def test_two_inviters_of_one_moment_can_both_be_erased(counter: Counter) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "{{ inviter: {{ levels: 10 }} }}"), level_limit=ANY_LEVELS)
    for by in "BC":
        await invited(counter, "A", by)
    for by in "BC":
        async with UnitOfWork(counter.database) as work:
            keys = [each.id for each in await Identities(work).of_customers([await customer(counter, by)])]
            await work.session.execute(
                text("UPDATE orders SET identity_id = NULL WHERE identity_id = ANY(:keys)"), {"keys": keys}
            )
            await Erasing(work).delete_keys(keys, [])
    shown = await InvitationService(counter.database).of_customer(QIAN, await customer(counter, "A"))
    assert [(each.inviter.payee, each.inviter.customer) for each in shown] == [(None, None)] * 2


async def test_circles_end(counter: Counter) -> None:
    await counter.publish(rules=INVITED.replace("WAY", "{{ inviter: {{ levels: 10 }} }}"), level_limit=ANY_LEVELS)
    await counter.settle()
    for who, by in ("AB", "BC", "CA"):
        await invited(counter, who, by)
    assert not await bought(counter, "A")


async def test_what_cannot_be_is_refused(counter: Counter) -> None:
    service, who = InvitationService(counter.database), await customer(counter, "A")
    for inviter in (Inviter(), Inviter("P1", who), Inviter(customer=who)):
        with pytest.raises(ValidationProblem):
            await service.record(QIAN, who, inviter, WEEK_AGO, "拼团邀请")
    for stranger in (Inviter("P9"), Inviter(customer=uuid4())):
        with pytest.raises(NotFoundProblem):
            await service.record(QIAN, who, stranger, WEEK_AGO, "拼团邀请")
    with pytest.raises(ValidationProblem):
        await service.record(QIAN, who, Inviter("P1"), WEEK_AGO, "  ")
    with pytest.raises(ValidationProblem):
        await service.record(QIAN, who, Inviter("P1"), WEEK_AGO.replace(year=2100), "拼团邀请")
    with pytest.raises(AuthorizationProblem):
        await service.record(an_actor("lin", Role.AGENT), who, Inviter("P1"), WEEK_AGO, "拼团邀请")
    assert await service.of_customer(QIAN, who) == []
