"""`tandem customer …`: why keys are one person's; merge, split, undo, review."""

import json
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from commands.database import LARGEST_NUMBER, command_line_actor, say, with_database
from commands.listing import all_pages, show_rows
from domain.customers.identity import Verdict
from domain.events import rfc3339
from domain.problems import Text, ValidationProblem
from runtime.settings import Settings
from services.customers import CustomerService, Decided
from services.identity_evidence import Explanation
from storage.engine import Database

customer = typer.Typer(help="客户与标识 / customers and their identities", no_args_is_help=True)

CustomerId = Annotated[UUID, typer.Argument(help="客户编号，旧编号也可 / id of the customer, former ones too")]
Reason = Annotated[str, typer.Option("--reason", help="如何得知 / how that is known")]
AsJson = Annotated[bool, typer.Option("--json", help="输出 JSON / print JSON")]


@customer.command("why")
def why(customer_id: CustomerId, as_json: AsJson = False) -> None:
    """为何这些标识是同一位客户 / why these identities are one customer."""

    async def work(database: Database, settings: Settings) -> None:
        found = await CustomerService(database).explain(command_line_actor(), customer_id)
        if as_json:
            typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2, default=str))
            return
        formerly = "、".join(map(str, found.aliases))
        both = Text(f"客户 {found.customer}", f"customer {found.customer}")
        if formerly:
            both = Text(f"{both.zh}（曾用编号 {formerly}）", f"{both.en} (formerly {formerly})")
        say(settings, both)
        _tell(found)

    with_database(work)


def _tell(found: Explanation) -> None:
    """The tables of an explanation; what is empty is left out."""
    names = {key.id: f"{key.kind} {key.value}" for key in (*found.keys, *found.others)}
    tables: list[list[dict[str, Any]]] = [
        [
            {"identity": key.id, "kind": key.kind, "scope": key.scope, "value": key.value, "crowd": key.crowded}
            for key in found.keys
        ],
        [
            {
                "evidence": f"{names[link.low]} = {names[link.high]}",
                "strength": link.strength,
                "record": f"{link.account_id} {link.record}",
                "seen": rfc3339(link.seen_at),
            }
            for link in found.links
        ],
        [
            {
                "decision": str(each.id),
                "verdict": each.verdict,
                "by": each.actor,
                "reason": each.reason,
                "decided": rfc3339(each.decided_at),
                "undone by": each.undone_by,
            }
            for each in found.decisions
        ],
        [
            {
                "moved": names.get(move.identity, str(move.identity)),
                "from": str(move.from_customer),
                "to": str(move.to_customer),
                "cause": move.cause,
                "at": rfc3339(move.moved_at),
            }
            for move in found.moves
        ],
        [
            {"to review": str(each.id), "why": each.why, "one": names[each.low.id], "other": names[each.high.id]}
            for each in found.suggestions
        ],
    ]
    for rows in filter(None, tables):
        typer.echo()
        show_rows(rows, as_json=False)


@customer.command("merge")
def merge(customer_id: CustomerId, others: Annotated[list[UUID], typer.Argument()], reason: Reason) -> None:
    """判定这些客户是同一人 / say that these customers are one person."""

    async def work(database: Database, settings: Settings) -> None:
        decided = await CustomerService(database).merge(command_line_actor(), customer_id, others, reason)
        _report(settings, decided)

    with_database(work)


@customer.command("split")
def split(
    customer_id: CustomerId,
    identities: Annotated[
        list[int], typer.Argument(help="标识编号，见 why / numbers of identities, see why", min=1, max=LARGEST_NUMBER)
    ],
    reason: Reason,
) -> None:
    """判定这些标识属于另一人 / say that these identities are another person's."""

    async def work(database: Database, settings: Settings) -> None:
        decided = await CustomerService(database).split(command_line_actor(), customer_id, identities, reason)
        _report(settings, decided)

    with_database(work)


@customer.command("undo")
def undo(decision_id: Annotated[UUID, typer.Argument(help="决定编号，见 why / id of the decision, see why")]) -> None:
    """撤销合并或拆分 / undo a merge or a split."""

    async def work(database: Database, settings: Settings) -> None:
        _report(settings, await CustomerService(database).undo(command_line_actor(), decision_id))

    with_database(work)


@customer.command("review")
def review(
    settle: Annotated[UUID | None, typer.Option("--settle", help="处理此项 / answer this one")] = None,
    verdict: Annotated[
        Verdict | None, typer.Option("--verdict", help="同一人 join，不是 part / one person: join; not: part")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="如何得知 / how that is known")] = "",
    as_json: AsJson = False,
) -> None:
    """列出待核对的标识对，或处理一项 / list pairs of identities to review, or answer one."""

    async def work(database: Database, settings: Settings) -> None:
        service, actor = CustomerService(database), command_line_actor()
        if settle is not None:
            if verdict is None:
                raise ValidationProblem(
                    Text(
                        "请用 --verdict 给出 join（同一人）或 part（不是）",
                        "Say --verdict join (one person) or part (not)",
                    )
                )
            _report(settings, await service.settle(actor, settle, verdict, reason))
            return
        found = await all_pages(lambda page: service.review(actor, page))
        show_rows(
            [
                {
                    "id": str(each.id),
                    "why": each.why,
                    "one": f"{each.low.kind} {each.low.value}",
                    "customer": str(each.low.customer),
                    "other": f"{each.high.kind} {each.high.value}",
                    "other customer": str(each.high.customer),
                    "since": rfc3339(each.made_at),
                }
                for each in found
            ],
            as_json=as_json,
        )

    with_database(work)


def _report(settings: Settings, decided: Decided) -> None:
    now = "、".join(map(str, decided.customers))
    say(settings, Text(f"已记录，现为客户 {now}；决定：", f"recorded, now the customers {now}; decision:"), err=True)
    typer.echo(str(decided.decision))
