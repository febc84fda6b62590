"""Things to break, below /_sim/faults."""

from __future__ import annotations

from fastapi import APIRouter, Response

from simulator.admin.bodies import Body
from simulator.faults import FaultBook, FaultRule
from simulator.platforms.base import Json


class Faults(Body):
    """All rules that are to be in force."""

    rules: list[FaultRule]


def add_fault_routes(router: APIRouter, book: FaultBook) -> None:
    """GET, PUT, POST and DELETE /faults."""

    @router.get("/faults")
    async def faults() -> Json:
        """The rules in force, with how often each matched (`seen`) and struck (`hit`)."""
        return {"rules": [rule.model_dump(mode="json") for rule in book.rules()]}

    @router.put("/faults")
    async def put_faults(wanted: Faults) -> Json:
        """Puts exactly these rules in force."""
        book.replace(wanted.rules)
        return {"rules": [rule.model_dump(mode="json") for rule in book.rules()]}

    @router.post("/faults", status_code=201)
    async def add_fault(rule: FaultRule) -> Json:
        """Adds one rule."""
        return book.add(rule).model_dump(mode="json")

    @router.delete("/faults", status_code=204)
    async def clear_faults() -> Response:
        """Takes all rules away."""
        book.replace([])
        return Response(status_code=204)

    @router.delete("/faults/{rule_id}", status_code=204)
    async def remove_fault(rule_id: str) -> Response:
        """Takes one rule away."""
        if not book.remove(rule_id):
            raise LookupError(f"no fault rule {rule_id!r}")
        return Response(status_code=204)
