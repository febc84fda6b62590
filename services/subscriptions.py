"""Subscriptions for people: made, looked at, paused, resumed, removed; what a subscriber did not take is sent again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from connectors.standard_webhooks import new_secret
from connectors.subscribers import require_allowed
from connectors.web.guard import HostGuard
from domain.access import Actor, Permission
from domain.problems import (
    AuthorizationProblem,
    ConflictProblem,
    NotFoundProblem,
    ProblemError,
    Text,
    ValidationProblem,
)
from domain.subscriptions import LONGEST_OVERLAP, MOST_SUBSCRIPTIONS, NewSubscription, Subscription
from storage.audit import AuditLog
from storage.engine import Database
from storage.locks import lock
from storage.paging import Page, PageRequest
from storage.placements import Placements
from storage.subscriptions import DeadLetter, Lag, Subscriptions
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription and how far its subscriber is behind."""

    subscription: Subscription
    lag: Lag


class SubscriptionService:
    """What people do with subscriptions.

    Raises AuthorizationProblem when it is not allowed, NotFoundProblem for one outside the data scope: a narrow scope
    sees subscriptions to accounts that are all within it, and makes no others.
    """

    def __init__(self, database: Database, guard: HostGuard) -> None:
        self._database = database
        self._guard = guard

    async def create(self, actor: Actor, new: NewSubscription) -> tuple[Subscription, str]:
        """The subscription, and the secret that signs its deliveries, which is never shown again.

        :raises AuthorizationProblem: the host is not on the allow-list; or clear text without `customers.unmask`.
        :raises ConflictProblem: there are too many.
        """
        actor.require(Permission.SUBSCRIPTIONS_MANAGE)
        if not new.masked:
            actor.require(Permission.CUSTOMERS_UNMASK)
        require_allowed(new.url, self._guard)
        secret = new_secret()
        async with UnitOfWork(self._database) as work:
            if not await _sees(work, actor, new.accounts):
                raise _outside()
            await lock(work, "subscriptions")
            subscriptions = Subscriptions(work)
            if await subscriptions.count() >= MOST_SUBSCRIPTIONS:
                raise _too_many()
            made = await subscriptions.add(new, secret, actor.login)
            detail = new.model_dump(mode="json", exclude={"url"})
            await _record(work, actor, "create", made.id, {**detail, "host": _host_of(new.url)})
        return made, secret

    async def list(self, actor: Actor) -> Sequence[Subscription]:
        """All within the data scope, the oldest first."""
        actor.require(Permission.SUBSCRIPTIONS_READ)
        async with UnitOfWork(self._database) as work:
            found = await Subscriptions(work).list()
            return [each for each in found if await _sees(work, actor, each.accounts)]

    async def show(self, actor: Actor, subscription_id: UUID) -> Followed:
        """One of them, with how far it is behind."""
        actor.require(Permission.SUBSCRIPTIONS_READ)
        async with UnitOfWork(self._database) as work:
            found = await _found(work, actor, subscription_id)
            return Followed(found, await Subscriptions(work).lag(found))

    async def remove(self, actor: Actor, subscription_id: UUID) -> None:
        """Its cursor and its dead letters go with it."""
        async with UnitOfWork(self._database) as work:
            found = await self._held(work, actor, subscription_id)
            await Subscriptions(work).remove(subscription_id)
            await _record(work, actor, "remove", found.id, {"name": found.name})

    async def pause(self, actor: Actor, subscription_id: UUID) -> Subscription:
        """Nothing is delivered until it is resumed; events wait as long as they are kept."""
        async with UnitOfWork(self._database) as work:
            await self._held(work, actor, subscription_id)
            await Subscriptions(work).pause(subscription_id)
            await _record(work, actor, "pause", subscription_id)
            return await Subscriptions(work).get(subscription_id)

    async def resume(self, actor: Actor, subscription_id: UUID) -> Subscription:
        """Deliver from where it stopped, at once; of one that waits after a failure, too."""
        async with UnitOfWork(self._database) as work:
            await self._held(work, actor, subscription_id)
            await Subscriptions(work).resume(subscription_id)
            await _record(work, actor, "resume", subscription_id)
            return await Subscriptions(work).get(subscription_id)

    async def rotate(self, actor: Actor, subscription_id: UUID, overlap: timedelta) -> tuple[Subscription, str]:
        """The subscription, and a new secret, never shown again; the present one signs as well while `overlap` lasts.

        :raises ValidationProblem: the overlap is negative, or longer than `LONGEST_OVERLAP`.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            days = LONGEST_OVERLAP.days
            raise ValidationProblem(
                Text(f"重叠期应在 0 到 {days} 天之间", f"The overlap is between nothing and {days} days")
            )
        secret = new_secret()
        async with UnitOfWork(self._database) as work:
            await self._held(work, actor, subscription_id)
            await Subscriptions(work).rotate(subscription_id, secret, work.now + overlap)
            detail = {"overlap_s": int(overlap.total_seconds())}
            await _record(work, actor, "rotate", subscription_id, detail)
            return await Subscriptions(work).get(subscription_id), secret

    async def dead_letters(self, actor: Actor, subscription_id: UUID, page: PageRequest) -> Page[DeadLetter]:
        """Events that the subscriber did not take, the oldest first."""
        actor.require(Permission.SUBSCRIPTIONS_READ)
        async with UnitOfWork(self._database) as work:
            await _found(work, actor, subscription_id)
            return await Subscriptions(work).dead_letters(subscription_id, page)

    async def redrive(self, actor: Actor, subscription_id: UUID, seqs: Sequence[int] | None) -> int:
        """One more attempt for these dead letters, for all without `seqs`; how many there were."""
        async with UnitOfWork(self._database) as work:
            await self._held(work, actor, subscription_id)
            found = await Subscriptions(work).redrive(subscription_id, seqs)
            detail = {"seqs": None if seqs is None else list(seqs)[:100], "found": found}
            await _record(work, actor, "redrive", subscription_id, detail)
            return found

    async def _held(self, work: UnitOfWork, actor: Actor, subscription_id: UUID) -> Subscription:
        actor.require(Permission.SUBSCRIPTIONS_MANAGE)
        return await _found(work, actor, subscription_id)


async def _found(work: UnitOfWork, actor: Actor, subscription_id: UUID) -> Subscription:
    found = await Subscriptions(work).get(subscription_id)
    if not await _sees(work, actor, found.accounts):
        raise NotFoundProblem(Text(f"没有订阅 {subscription_id}", f"There is no subscription {subscription_id}"))
    return found


async def _sees(work: UnitOfWork, actor: Actor, accounts: Sequence[str]) -> bool:
    if actor.scope.kind == "everything":
        return True
    places = await Placements(work).of_accounts(accounts)
    return bool(places) and all(map(actor.sees, places.values()))


async def _record(
    work: UnitOfWork, actor: Actor, what: str, subscription_id: UUID, detail: dict[str, Any] | None = None
) -> None:
    await AuditLog(work).record(actor, f"subscription.{what}", f"subscription:{subscription_id}", detail)


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]


def _outside() -> ProblemError:
    return AuthorizationProblem(
        Text(
            "请在 accounts 中列出数据范围内的账号；不限账号的订阅只对数据范围为“全部”的用户开放",
            "Name accounts within your data scope in `accounts`; only who sees everything subscribes to all of them",
        ),
        rule="data-scope",
    )


def _too_many() -> ProblemError:
    return ConflictProblem(
        Text(
            f"订阅最多 {MOST_SUBSCRIPTIONS} 个，请先删除不用的",
            f"There are {MOST_SUBSCRIPTIONS} subscriptions at most; remove one that is not used",
        )
    )
