"""The world after a restart: same seed same world, and nothing forgotten by a kill."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from simulator.journal import JournalMismatch
from simulator.settings import Settings
from simulator.world import World
from tests.simulator.harness import Receiver, Sim, eventually, served, simulator

ROOT = Path(__file__).parents[2]
EPOCH = datetime(2026, 11, 1, tzinfo=UTC)


def everything(seed: int) -> list[str]:
    world = World(Settings(seed=seed, customers=20, epoch=EPOCH))
    rows = [*world.shops, *world.corps, *world.customers, *world.contacts, *world.orders, *world.tag_groups]
    return [json.dumps(row.dump()) for row in rows]


def test_a_seed_is_a_world() -> None:
    assert everything(7) == everything(7)
    assert everything(7) != everything(8)


async def test_a_restart_goes_on(tmp_path: Path) -> None:
    async with simulator(state=tmp_path) as sim:
        made = await sim.refund()
        token = (await sim.youzan_token())["data"]["access_token"]
        step = {"refund_id": made["id"], "version": made["version"]}
        await sim.youzan("youzan.trade.refund.agree", "3.0.1", step, token)
        await sim.admin("POST", "/advance", json={"seconds": 3600})
        before = await sim.admin("GET", "/state")
    for _ in range(2):
        async with simulator(state=tmp_path) as sim:
            after = await sim.admin("GET", "/state")
            assert {**after, "now": None, "pushes": None} == {**before, "now": None, "pushes": None}
            assert after["now"] > before["now"]
            assert (await sim.youzan("youzan.trade.refund.agree", "3.0.1", step, token))["code"] == 102010002
            before = await sim.admin("GET", "/state")
    async with simulator(state=tmp_path) as sim:
        assert (await sim.refund())["id"] != made["id"]


async def test_a_refund_paid_just_before_a_kill_is_in_the_ledger(tmp_path: Path) -> None:
    async with simulator(state=tmp_path) as sim:
        made = await sim.refund()
        await sim.youzan("youzan.trade.refund.agree", "3.0.1", {"refund_id": made["id"], "version": made["version"]})
    (tmp_path / "ledger.jsonl").write_text("", encoding="utf-8")
    async with simulator(state=tmp_path) as sim:
        assert (await sim.ledger(kind="refund_agreed", refund_id=made["id"]))["effects"] == 1


async def test_a_waiting_push_survives(tmp_path: Path) -> None:
    async with simulator(state=tmp_path, push_base="http://127.0.0.1:9", push_retry_scale=1) as sim:
        await sim.refund(push=True)

        async def tried() -> bool:
            return bool((await sim.pushes("pending"))[0]["attempts"])

        await eventually(tried)
    receiver = Receiver()
    async with served(receiver.app()) as address, simulator(state=tmp_path, push_base=address) as sim:
        (waiting,) = await sim.pushes("pending")
        await sim.admin("POST", "/push", json={"push_id": waiting["id"]})
        await receiver.wait_for(1)


async def test_a_reset_forgets(tmp_path: Path) -> None:
    async with simulator(state=tmp_path, epoch=EPOCH) as sim:
        before = await sim.admin("GET", "/state")
        made = await sim.refund()
        await sim.youzan("youzan.trade.refund.agree", "3.0.1", {"refund_id": made["id"], "version": made["version"]})
        await sim.admin("POST", "/reset")
    async with simulator(state=tmp_path, epoch=EPOCH) as sim:
        after = await sim.admin("GET", "/state")
        assert (after["refunds"], after["orders"], after["ledger"]) == (before["refunds"], before["orders"], {})


def test_another_seed_is_refused(tmp_path: Path) -> None:
    World(Settings(seed=7, customers=3, state=tmp_path)).close()
    with pytest.raises(JournalMismatch):
        World(Settings(seed=8, customers=3, state=tmp_path))


def test_a_torn_line_is_ignored(tmp_path: Path) -> None:
    world = World(Settings(customers=3, state=tmp_path))
    world.advance(5)
    world.close()
    with (tmp_path / "world.jsonl").open("a", encoding="utf-8") as journal:
        journal.write('{"kind":"counter","row":{"id":"clo')
    again = World(Settings(customers=3, state=tmp_path))
    assert again.clock.offset_s == 5
    again.advance(1)
    again.close()
    assert World(Settings(customers=3, state=tmp_path)).clock.offset_s == 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(state: Path, port: int) -> AsyncIterator[tuple[Process, Sim]]:
    """The simulator as a program of its own, once it answers."""
    command = ["-m", "simulator", "--port", str(port), "--state", str(state), "--customers", "5", "--no-push"]
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stderr=PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http, asyncio.timeout(60):
            while True:
                try:
                    await http.get("/_sim/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
            yield running, Sim(FastAPI(), http)
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
async def test_the_ledger_survives_kill_9_and_a_signal_stops_it(tmp_path: Path, asked: signal.Signals) -> None:
    port = free_port()
    async with process(tmp_path, port) as (running, sim):
        made = await sim.refund()
        step = {"refund_id": made["id"], "version": made["version"]}
        await sim.youzan("youzan.trade.refund.agree", "3.0.1", step)
        running.kill()
        await running.wait()
    async with process(tmp_path, port) as (running, sim):
        assert (await sim.ledger(kind="refund_agreed", refund_id=made["id"]))["effects"] == 1
        assert (await sim.youzan("youzan.trade.refund.agree", "3.0.1", step))["code"] == 102010002
        running.send_signal(asked)
        assert await asyncio.wait_for(running.wait(), 30) == 0
