"""A stream of an account read or compared now, because somebody wants it: out of turn, by the schedule that it has."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from connectors.pulling import Stream, not_compared
from connectors.registry import ConnectorRegistry
from domain.access import Actor, Permission
from domain.problems import ConflictProblem, NotFoundProblem, Text, UnavailableProblem
from services.orchestrator import DEADLINE_S, problems
from services.pull_schedules import PREFIX
from storage.accounts import Accounts
from storage.audit import AuditLog
from storage.engine import Database
from storage.placements import Placements
from storage.unit_of_work import UnitOfWork

Task = Literal["pull", "compare"]
_DEADLINE = timedelta(seconds=DEADLINE_S)


class StreamReadings:
    """Readings that are asked for."""

    def __init__(self, database: Database, client: Client, connectors: ConnectorRegistry) -> None:
        self._database = database
        self._client = client
        self._connectors = connectors

    async def ask(self, actor: Actor, account_id: str, stream: str, task: Task) -> None:
        """Let a stream be read on (`pull`), or its last two days compared and mended (`compare`); once more afterwards,
        while that is being done already.

        :raises NotFoundProblem: no such account within the scope, or no such stream of its platform.
        :raises ConflictProblem: the account is disconnected, or the stream is a queue and cannot be compared.
        :raises UnavailableProblem: it was connected just now, or Temporal does not answer.
        """
        actor.require(Permission.ACCOUNTS_MANAGE)
        async with UnitOfWork(self._database) as work:
            account = await Accounts(work).require(account_id, actor.scope)
            known = self._streams(account.platform)
            if stream not in known:
                raise NotFoundProblem(
                    Text(
                        f"{account.platform} 没有数据流“{stream}”，有：{'、'.join(known) or '无'}",
                        f"{account.platform} has no stream “{stream}”; it has: {', '.join(known) or 'none'}",
                    )
                )
            if task == "compare" and not known[stream].compared:
                raise not_compared(stream)
            if not account.active:
                raise ConflictProblem(
                    Text(f"账号 {account_id} 已停用，先启用", f"The account {account_id} is disconnected: reconnect it")
                )
            placement = (await Placements(work).of_accounts([account_id])).get(account_id)
            await AuditLog(work).record(actor, f"stream.{task}", f"account:{account_id}", {"stream": stream}, placement)
        identity = f"{PREFIX}{task}/{account_id}/{stream}"
        with problems(identity):
            try:
                await self._client.get_schedule_handle(identity).trigger(
                    overlap=ScheduleOverlapPolicy.BUFFER_ONE, rpc_timeout=_DEADLINE
                )
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                raise UnavailableProblem(
                    Text(
                        "该账号刚接入，数据流的计划尚未建立，半分钟后再试",
                        "The account was connected just now, and its streams are not scheduled yet: try it in half a "
                        "minute",
                    )
                ) from None

    def _streams(self, platform: str) -> Mapping[str, Stream]:
        connector = self._connectors.get(platform)
        return {each.name: each for each in getattr(connector.client, "streams", ())} if connector is not None else {}
