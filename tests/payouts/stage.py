"""A Tandem of its own with the drill's payees and sales, and everything that finance and its approver ask of it."""

import asyncio
import csv
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import httpx
import psycopg
from psycopg.rows import tuple_row

from domain.settlement.report_kinds import REPORTS
from runtime.configuration import connected_settings
from runtime.connections import open_database
from services.report_files import report_columns
from storage.engine import Database
from tests.chaos.client import Answer, Client
from tests.chaos.house import House, HouseProblem
from tests.payouts.people import Person, sales_rows, scheme, scheme_name

_AT_ONCE = 1_000
_LOOK_EVERY_S = 1.0
_REPORT_S = 120.0
_REPORTS = "/api/v1/settlement"
_RUNS, _BATCHES = "/api/v1/settlement/runs", "/api/v1/settlement/payouts"
_WORDS = """
    INSERT INTO sale_words (field, word)
    SELECT field, '' FROM unnest(ARRAY['platform', 'shop', 'channel', 'influencer', 'category', 'article', 'currency'])
        AS field
    ON CONFLICT DO NOTHING
"""
_LINES = """
    CREATE TEMPORARY TABLE lines (
        order_key bigint, amount bigint, payee integer, day date, pieces integer, is_first boolean
    ) ON COMMIT DROP
"""
_SALES = """
    INSERT INTO sales (order_key, order_minor, paid_minor, kept_minor, foreign_minor, payee, day, platform, shop,
        channel, influencer, category, article, currency, quantity, orders, basis, part, is_first, is_bonded, line_id)
    SELECT order_key, amount, amount, amount, 0, payee, day, w.platform, w.shop, w.channel, w.influencer, w.category,
        w.article, w.currency, pieces, 1, 2, (payee::bigint * 2654435761 % 4294967296 * 16) >> 32, is_first, false, '1'
    FROM lines, (
        SELECT max(number) FILTER (WHERE field = 'platform') AS platform,
            max(number) FILTER (WHERE field = 'shop') AS shop,
            max(number) FILTER (WHERE field = 'channel') AS channel,
            max(number) FILTER (WHERE field = 'influencer') AS influencer,
            max(number) FILTER (WHERE field = 'category') AS category,
            max(number) FILTER (WHERE field = 'article') AS article,
            max(number) FILTER (WHERE field = 'currency') AS currency
        FROM sale_words WHERE word = ''
    ) w
"""


class Stage:
    """finance asks, approver approves; both call again what may pass. repeats, surprises: see `Client`."""

    def __init__(self, house: House, everybody: Sequence[Person], month: date) -> None:
        self.house = house
        self.everybody = everybody
        self.month = month
        self.repeats: Counter[str] = Counter()
        self.surprises: list[str] = []
        os.environ.update(TANDEM_DATA_DIR=str(house.data_dir), TANDEM_SIMULATOR_URL=house.simulator_url)
        self.database: Database = open_database(connected_settings())
        tokens = house.tokens()
        self.admin, self.finance, self.approver = (
            Client(house.api_url, tokens[login], self.repeats, self.surprises) for login in ("admin", "qian", "sun")
        )
        self._reader = Client(house.api_url, tokens["qian"], self.repeats, self.surprises, answer_s=_REPORT_S)
        # A connection for each request: one that lay still is closed by the simulator in the moment it is used again.
        once = httpx.Limits(max_keepalive_connections=0)
        self._outside = httpx.AsyncClient(
            base_url=f"{house.simulator_url}/_sim", timeout=60, trust_env=False, limits=once
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._outside.aclose()
        for client in (self.admin, self.finance, self.approver, self._reader):
            await client.__aexit__()
        await self.database.close()

    async def prepare(self, runs: int) -> None:
        """Payees and uplines by the API, their sales by the table, a scheme for each run."""
        for start in range(0, len(self.everybody), _AT_ONCE):
            some = self.everybody[start : start + _AT_ONCE]
            described = [{**each.described(), "since": self.month.isoformat()} for each in some]
            await self._expect(self.finance, "PUT", "/api/v1/payees", {"payees": described})
        above = [
            {"code": each.code, "upline": each.upline.code, "since": self.month.isoformat()}
            for each in self.everybody
            if each.upline is not None
        ]
        for start in range(0, len(above), _AT_ONCE):
            changes = {"changes": above[start : start + _AT_ONCE]}
            await self._expect(self.finance, "PUT", "/api/v1/settlement/uplines", changes)
        await asyncio.to_thread(self._sell)
        for run in range(1, runs + 1):
            content = scheme(run, self.month.replace(month=1, day=1)).encode()
            uploaded = await self.admin.send(
                "POST", "/api/v1/definitions", content=content, media_type="application/yaml"
            )
            if not uploaded.ok:
                raise HouseProblem(f"the scheme was not taken: {uploaded.reason}")
            await self._expect(self.admin, "POST", f"/api/v1/resources/scheme/{scheme_name(run)}/1.0.0/publish")

    async def be(self, people: Sequence[Person], *, active: bool) -> None:
        """These people leave, or come back."""
        if people:
            described = [each.described(active=active) for each in people]
            await self._expect(self.finance, "PUT", "/api/v1/payees", {"payees": described})

    async def preview(self, run: int) -> Any:
        """The calculation of a run's scheme, nothing booked."""
        wanted = {"scheme": scheme_name(run), "day": self.month.isoformat()}
        asked = await self._expect(self.finance, "POST", "/api/v1/settlement/calculations", wanted)
        path = f"/api/v1/settlement/calculations/{asked['calculation']['id']}"
        shown = await self._until(path, lambda found: found["calculation"]["state"] in ("computed", "failed"), 300)
        return shown["calculation"]

    async def ask_for_settlement(self, run: int) -> Any:
        """A settlement, being computed."""
        wanted = {"scheme": scheme_name(run), "day": self.month.isoformat()}
        answer = await self.finance.send("POST", _RUNS, wanted)
        if answer.ok:
            return answer.body
        newest = await self._newest(_RUNS, run, answer)
        return await self.finance.get(f"{_RUNS}/{newest['id']}")

    async def book(self, run_id: str, patience_s: float) -> Any:
        """The settlement, once it was computed, approved by somebody else, and booked."""
        path = f"{_RUNS}/{run_id}"
        shown = await self._until(path, lambda found: found["run"]["state"] != "computing", patience_s)
        await self._approve(path, "computed", shown["run"])
        return await self._until(path, lambda found: found["run"]["state"] == "booked", patience_s)

    async def ask_for_payouts(self, run: int) -> str:
        """The number of a batch, being planned."""
        answer = await self.finance.send("POST", _BATCHES, {"scheme": scheme_name(run)})
        found = answer.body if answer.ok else await self._newest(_BATCHES, run, answer)
        return str(found["id"])

    async def release(self, batch: str, patience_s: float) -> None:
        """Approve a batch once it is planned."""
        path = f"{_BATCHES}/{batch}"
        shown = await self._until(path, lambda found: found["batch"]["state"] != "planning", patience_s)
        await self._approve(path, "planned", shown["batch"])

    async def until_paid(self, batch: str, patience_s: float) -> bool:
        """Wait for the last payout of a batch; False when the time was up."""
        try:
            await self._until(f"{_BATCHES}/{batch}", lambda found: found["batch"]["state"] == "done", patience_s)
        except HouseProblem:
            return False
        return True

    async def trial_balance(self) -> Sequence[Mapping[str, Any]]:
        found = await self.finance.get("/api/v1/settlement/ledger/trial-balance")
        items: Sequence[Mapping[str, Any]] = found["items"]
        return items

    def months(self) -> Sequence[date]:
        """The month that is settled and those since: payouts are booked in the month they are made in."""
        today = (datetime.now(UTC) + timedelta(hours=8)).date()
        found = [self.month]
        while (following := (found[-1] + timedelta(days=31)).replace(day=1)) <= today:
            found.append(following)
        return found

    async def report(self, name: str, run: int, month: date) -> list[dict[str, str]]:
        """All rows of a report of a run's scheme, as its file has them, by the columns' names."""
        wanted = {"scheme": scheme_name(run), "day": month.isoformat(), "format": "csv"}
        answer = await self._reader.send("GET", f"{_REPORTS}/reports/{name}", query=wanted)
        if not answer.ok:
            raise HouseProblem(f"the report {name} cannot be had: {answer.status} {answer.reason}")
        names = [each.name for each in report_columns(REPORTS[name])]
        _, *rows = csv.reader(str(answer.body).splitlines())
        return [dict(zip(names, row, strict=True)) for row in rows]

    async def tie_out(self, name: str, run: int, month: date) -> Sequence[Mapping[str, Any]]:
        """What a report of a run's scheme comes to, beside what the journal says."""
        found = await self._reader.get(
            f"{_REPORTS}/tie-out", report=name, scheme=scheme_name(run), day=month.isoformat()
        )
        items: Sequence[Mapping[str, Any]] = found["items"] if found is not None else ()
        return items

    async def sim(self, method: str, path: str, **content: Any) -> Any:
        return (await self._outside.request(method, path, **content)).raise_for_status().json()

    async def ledger(self, kind: str, after: int = 0) -> list[dict[str, Any]]:
        """What WeChat Pay wrote down of a kind since an entry: `transfer` when it took one, `transferred` when money
        went to the payee."""
        found: list[dict[str, Any]] = []
        at: int | None = after
        while at is not None:
            page = await self.sim("GET", "/ledger", params={"kind": kind, "platform": "wechat_pay", "after": at})
            found += page["entries"]
            at = page["next_after"]
        return found

    async def rows(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """What the database itself holds."""
        url = self.house.addresses().database_url
        async with await psycopg.AsyncConnection.connect(url, row_factory=tuple_row) as connection:
            return await (await connection.execute(statement.encode(), values)).fetchall()

    async def _approve(self, path: str, waiting: str, seen: Mapping[str, Any]) -> None:
        """Approve what waits for it. A second try is told that it is decided, when the first one's answer was lost."""
        if seen["state"] != waiting:
            raise HouseProblem(f"{path} is {seen['state']}: {seen.get('problem')}")
        answer = await self.approver.send("POST", f"{path}/approve", {"note": "已核对"})
        if not answer.ok and not (answer.status == 409 and answer.attempts > 1):
            raise HouseProblem(f"{path} could not be approved: {answer.status} {answer.reason}")

    async def _newest(self, path: str, run: int, answer: Answer) -> Mapping[str, Any]:
        """What a first try began, whose answer was lost; a second one is told that it is under way."""
        found = await self.finance.get(path, scheme=scheme_name(run))
        if answer.status != 409 or answer.attempts == 1 or not found["items"]:
            raise HouseProblem(f"POST {path}: {answer.status} {answer.reason}")
        newest: Mapping[str, Any] = found["items"][0]
        return newest

    async def _until(self, path: str, over: Callable[[Any], bool], for_s: float) -> Any:
        end = time.monotonic() + for_s
        while True:
            found = await self.finance.get(path)
            if found is not None and over(found):
                return found
            if time.monotonic() > end:
                raise HouseProblem(f"{path} did not get on within {for_s:.0f} s: {found}")
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _expect(self, client: Client, method: str, path: str, body: Any = None) -> Any:
        answer = await client.send(method, path, body)
        if not answer.ok:
            raise HouseProblem(f"{method} {path}: {answer.status} {answer.reason}")
        return answer.body

    def _sell(self) -> None:
        with psycopg.connect(self.house.addresses().database_url) as connection:
            connection.execute(_WORDS)
            connection.execute("SELECT open_sales_month(%s)", (self.month,))
            connection.execute(_LINES)
            payees = connection.execute("SELECT code, id FROM payees WHERE code LIKE 'D%'").fetchall()
            known: dict[str, int] = dict(payees)
            with connection.cursor().copy("COPY lines FROM STDIN") as copy:
                for row in sales_rows(self.everybody, known, self.month):
                    copy.write_row(row)
            connection.execute(_SALES)
