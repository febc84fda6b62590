"""Reaching customers: may they be reached now, and what was done about it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from domain.canonical.consents import ConsentState
from domain.canonical.keys import IdentityKey
from domain.catalog.messages import About, SendArguments, SendOutput, UnpaidOrder
from domain.customers.consents import consent_to
from domain.journeys.reach import Customer, ReachPolicy, SkippedReason, skip_reason
from domain.problems import NotFoundProblem, Text, UnavailableProblem
from domain.resources import Message
from services.catching_up import Shop, caught_up
from services.coupons import CouponService
from services.customer_facts import customer_named
from services.enrolments import is_doubled, reaches
from services.goods import GoodsService
from storage.consents import Consents
from storage.definitions import Definitions
from storage.engine import Database
from storage.erasures import ErasedKeys
from storage.goods import Goods
from storage.identities import Identities, StoredKey
from storage.interactions import GONE, Interactions
from storage.locks import lock
from storage.orders import OrderRow
from storage.reach import Touches, TouchRow
from storage.suppressions import Article, Suppressions
from storage.unit_of_work import UnitOfWork

_UNREAD_FOR_AT_MOST = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a customer is reached: the effect's key, the run, and the step; account_id: on whose behalf. asked_at: when
    the attempt before this one was at work, None for the first."""

    key: str
    run_id: str
    reference: str
    account_id: str
    asked_at: datetime | None = None


class ReachService:
    """The house rules of reaching people, over the record of every touch."""

    def __init__(self, database: Database, policy: ReachPolicy | None = None) -> None:
        self._database = database
        self._policy = policy or ReachPolicy()

    async def template(self, name: str) -> str:
        """The text of the message template in force. Raises NotFoundProblem."""
        async with UnitOfWork(self._database) as work:
            version = await Definitions(work).in_force("message", name)
        if version is None:
            raise NotFoundProblem(
                Text(f"没有名为“{name}”的已发布消息模板", f"There is no published message template “{name}”"),
                retryable=False,
            )
        return Message.model_validate(version.properties).text

    async def refusal(self, request: SendArguments, cause: Cause) -> SkippedReason | None:
        """Why the message must not go out now; None when it may. Marketing that may counts from now on, until it is
        recorded or let go.

        Marketing is judged by everything that the shops of its goods, coupon and order told before, and the warehouses
        behind them.

        :raises UnavailableProblem: what they told is not read yet; try again later, nothing was sent.
        """
        if shops := await self._tellers(request):
            reason = await self._refusal(request, cause)
            if reason is not None:
                return reason
            if not await caught_up(self._database, shops, self._came_before(cause)):
                raise _not_read_yet(shops)
        return await self._refusal(request, cause, is_last=True)

    def _came_before(self, cause: Cause) -> datetime | None:
        """Until when pushes must have come for the message to wait for them; None: whenever they came.

        A busy shop always has some that wait. So a later attempt asks for those that the one before found, or that have
        been here for a while.
        """
        if cause.asked_at is None:
            return None
        return max(cause.asked_at, self._database.clock() - _UNREAD_FOR_AT_MOST)

    async def _refusal(self, request: SendArguments, cause: Cause, *, is_last: bool = False) -> SkippedReason | None:
        """is_last: unless refused, the message goes out next, and the run is from now on the one that writes."""
        about = request.about or About()
        out_of_stock, coupon_gone = await self._is_out_of_stock(about), await self._is_coupon_gone(about)
        reserves = is_last and request.purpose == "marketing"
        async with UnitOfWork(self._database) as work:
            if reserves:
                # Of several at the same moment each sees what those before it are about to send.
                await lock(work, f"reach:{request.channel}/{request.to}")
            if await is_doubled(work, cause.run_id):
                return "doubled"
            since = work.now - self._policy.looks_back
            sent_at = await Touches(work).marketing_sent_at(request.channel, request.to, since, beside=cause.key)
            named = await customer_named(work, about.customer) if about.customer else None
            recipient = await _recipient(work, request, cause)
            people = {each for each in (named, recipient and recipient.customer_id) if each is not None}
            customer = Customer(
                contact_gone=await _is_gone(work, request, cause, recipient) or await _is_erased(work, request, cause),
                marketing_sent_at=sent_at,
                not_about_this=await _is_suppressed(work, about, people),
                consent=await _consent(work, request, people),
                order_settled=await _is_settled(work, about.unpaid_order),
                out_of_stock=out_of_stock,
                coupon_gone=coupon_gone,
            )
            reason = skip_reason(self._policy, customer, request.purpose, work.now)
            if reason is None and is_last:
                await reaches(work, cause.run_id)
            if reason is None and reserves:
                await Touches(work).reserve(_touch(request, cause, recipient, work.now))
            return reason

    async def record(self, request: SendArguments, output: SendOutput, cause: Cause) -> None:
        """Note the touch, once per key; of who was erased nothing is noted."""
        async with UnitOfWork(self._database) as work:
            if await _is_erased(work, request, cause):
                await Touches(work).let_go(cause.key)
                return
            touch = _touch(request, cause, await _recipient(work, request, cause), work.now)
            touch.skipped_reason, touch.message_id = output.skipped_reason, output.message_id
            await Touches(work).record(touch)

    async def let_go(self, cause: Cause) -> None:
        """The message certainly did not go out: it does not count any more."""
        async with UnitOfWork(self._database) as work:
            await Touches(work).let_go(cause.key)

    async def _tellers(self, request: SendArguments) -> set[Shop]:
        """The shops and warehouses whose word counts for a message: also of shops that sell the same goods."""
        about = request.about
        if request.purpose != "marketing" or about is None:
            return set()
        single = [each for each in (about.coupon, about.unpaid_order) if each is not None]
        shops = {(each.platform, each.account) for each in single}
        async with UnitOfWork(self._database) as work:
            accounts = [article.account_id.partition("/") for article in await _articles(work, about)]
        shops |= {(platform, slug) for platform, _, slug in accounts}
        for item in about.items:
            shops |= await GoodsService(self._database).warehouses(item)
        return shops

    async def _is_out_of_stock(self, about: About) -> bool:
        """Goods that no shop ever told of are given the benefit of the doubt, and so are coupons."""
        states = [await GoodsService(self._database).check(item) for item in about.items]
        return any(state.known and not state.sellable for state in states)

    async def _is_coupon_gone(self, about: About) -> bool:
        if about.coupon is None:
            return False
        state = await CouponService(self._database).check(about.coupon)
        return not state.usable and state.state != "unknown"


def _not_read_yet(shops: Collection[Shop]) -> UnavailableProblem:
    names = ", ".join(sorted("/".join(shop) for shop in shops))
    return UnavailableProblem(
        Text(
            f"{names} 的推送尚未处理完，其中可能有退款；消息稍后再发",
            f"Pushes of {names} are not read yet, and a refund may be among them; the message is sent later",
        ),
        outcome="not_done",
        retryable=True,
    )


def _touch(request: SendArguments, cause: Cause, recipient: StoredKey | None, at: datetime) -> TouchRow:
    return TouchRow(
        key=cause.key,
        channel=request.channel,
        recipient=request.to,
        purpose=request.purpose,
        run_id=cause.run_id,
        reference=cause.reference,
        template=request.template,
        identity_id=recipient.id if recipient else None,
        at=at,
    )


async def _recipient(work: UnitOfWork, request: SendArguments, cause: Cause) -> StoredKey | None:
    """The key that is written to, when a record has named it."""
    key = IdentityKey("external_userid", cause.account_id, request.to)
    return (await Identities(work).find([key])).get(key)


async def _is_gone(work: UnitOfWork, request: SendArguments, cause: Cause, recipient: StoredKey | None) -> bool:
    """Whether the member who is to write, or everybody when nobody is named, has lost the contact; not when nobody
    ever told that they had it."""
    if recipient is None:
        return False
    states = await Interactions(work).contact_states(cause.account_id, request.to, recipient.customer_id)
    if request.sender is not None and request.sender in states:
        return states[request.sender] in GONE
    return bool(states) and all(state in GONE for state in states.values())


async def _is_erased(work: UnitOfWork, request: SendArguments, cause: Cause) -> bool:
    """Whether the one who is written to asked to be erased: a run that was about many may still know how to."""
    keys = [(kind, cause.account_id, request.to) for kind in ("external_userid", "openid")]
    return bool(await ErasedKeys(work).find(keys))


async def _is_settled(work: UnitOfWork, order: UnpaidOrder | None) -> bool:
    """Whether its shop told that the order is paid or closed; one that nobody told of has the benefit of the doubt."""
    if order is None:
        return False
    named = (col(OrderRow.account_id) == f"{order.platform}/{order.account}", col(OrderRow.order_id) == order.order_id)
    status = await work.session.scalar(select(OrderRow.status).where(*named))
    return status not in (None, "unpaid", "unknown")


async def _articles(work: UnitOfWork, about: About) -> list[Article]:
    """What a message is about, in every shop that sells it under the same code."""
    named = {(f"{item.platform}/{item.account}", item.item_id) for item in about.items}
    return [Article(*each) for each in sorted(await Goods(work).alike(named))]


async def _is_suppressed(work: UnitOfWork, about: About, customers: Collection[UUID]) -> bool:
    articles = await _articles(work, about)
    for customer in customers:
        if await Suppressions(work).covers(customer, articles):
            return True
    return False


async def _consent(work: UnitOfWork, request: SendArguments, customers: Collection[UUID]) -> ConsentState | None:
    """What they said last; when who is named and who is written to are two, each has to agree."""
    said = await Consents(work).of(customers)
    states = {consent_to(statements, request.purpose, request.channel) for statements in said.values()}
    return "withdrawn" if "withdrawn" in states else None if None in states or not states else "given"
