"""A batch of payouts for everybody who earned something: planned, given days, approved, taken out of the balances."""

from benchmarks.figures import Figure
from benchmarks.steps import each_part, timed
from domain.access import Role, system_actor
from services.calculations import CalculationSteps
from services.payout_planning import PARTS, PayoutPlanning
from services.payouts import PayoutService, PayoutWish
from storage.engine import Database

_FINANCE = system_actor("finance", Role.FINANCE)


async def payout_figures(database: Database, steps: CalculationSteps, scheme: str) -> list[Figure]:
    """How long a batch takes until its rail may begin."""
    service, planning = PayoutService(database, steps), PayoutPlanning(database)
    batch = (await service.ask(_FINANCE, PayoutWish(scheme=scheme, rails=("bank",)))).id

    async def reserve() -> None:
        await each_part(range(PARTS), lambda part: planning.reserve_part(batch, part))
        await planning.finish_reserving(batch)

    async def plan() -> None:
        await each_part(range(PARTS), lambda part: planning.plan_part(batch, part))
        await planning.finish_plan(batch)

    planned = await timed(plan)
    for approver in ("one", "another"):
        if (await service.show(_FINANCE, batch)).batch.state == "planned":
            await service.decide(system_actor(approver, Role.APPROVER), batch, approve=True)
    reserved = await timed(reserve)
    count = sum(each.payouts for each in (await service.show(_FINANCE, batch)).sums)
    return [
        Figure(f"planning {count:,} payouts", [planned], "s", better="lower"),
        Figure("taking them out of the balances", [reserved], "s", better="lower"),
    ]
