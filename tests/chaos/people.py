"""The shop's people at work, through the API alone: they find tasks, take them, fill in forms, and meet each other."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from tests.chaos.client import Answer, Client
from tests.chaos.outside import Outside

# Who serves which queue, and how slowly: two for a queue meet over the same tasks.
DESKS: tuple[tuple[str, str, float], ...] = (
    ("lin", "warehouse", 1),
    ("zhou", "warehouse", 1),
    ("lin", "after-sale", 4),
    ("qian", "finance", 6),
    ("sun", "finance", 6),
)


@dataclass
class WorkDone:
    """What people did and heard.

    completed: tasks by name. outrun: somebody was faster, or the run had moved on. corrected: a mistaken form was
    refused and put right. repeated: a finished command was sent once more and gave the same answer.
    surprises: what no client should ever be told.
    """

    completed: Counter[str] = field(default_factory=Counter)
    outrun: int = 0
    corrected: int = 0
    repeated: int = 0
    repeats: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)


class Desk:
    """One person at one queue; works until cancelled."""

    def __init__(
        self, client: Client, login: str, queue: str, outside: Outside, done: WorkDone, think_s: float
    ) -> None:
        self._client = client
        self._login = login
        self._queue = queue
        self._outside = outside
        self._done = done
        self._think_s = think_s
        self._pick = Random(f"{login}:{queue}")
        self._serial = itertools.count(1)

    async def work(self) -> None:
        while True:
            waiting = await self._client.get("/api/v1/human-tasks", view="waiting", queue=self._queue, size=20)
            tasks = waiting["items"]
            if not tasks:
                # What somebody claimed just before an answer was lost is still theirs to finish.
                mine = await self._client.get("/api/v1/human-tasks", view="mine", queue=self._queue)
                tasks = [task for task in mine["items"] if task["assignee"] == self._login]
            for task in tasks[:5]:
                await self._take(task["id"])
                await asyncio.sleep(self._pick.uniform(0, 2 * self._think_s))
            if not tasks:
                await asyncio.sleep(0.5)

    async def _take(self, task_id: str) -> None:
        shown = await self._client.send("GET", f"/api/v1/human-tasks/{task_id}")
        if not shown.ok or shown.body["state"] not in ("ready", "reserved", "in_progress"):
            return
        if shown.body["state"] == "ready":
            shown = await self._do(shown, "claim")
        if not shown.ok or shown.body["assignee"] != self._login:
            self._done.outrun += 1
            return
        await self._fill_in(shown)

    async def _fill_in(self, task: Answer) -> None:
        refund_id = task.body["subject"].partition(":")[2]
        name = task.body["name"]
        refund = self._outside.refunds.get(refund_id)
        if refund is None:
            self._done.surprises.append(f"a task about an unknown refund: {task.body['subject']}")
            return
        if name == "refundByHand":
            # Only a buyer who withdrew at the last moment leads here; the run withdraws the task by itself.
            return
        if self._pick.random() < 0.1:
            task = await self._save_draft(task, refund.plan.form(name))
        mistaken = refund.plan.mistaken_form(name)
        if task.ok and mistaken is not None and self._pick.random() < 0.15:
            refused = await self._do(task, "complete", {"form": mistaken})
            if refused.status in (400, 422):
                self._done.corrected += 1
            elif refused.ok:
                self._done.surprises.append(f"{name}: a mistaken form was taken: {mistaken}")
        if task.ok:
            await self._complete(task, {"form": refund.plan.form(name)})
        else:
            self._done.outrun += 1

    async def _complete(self, task: Answer, body: Mapping[str, object]) -> None:
        key = self._key("complete")
        done = await self._do(task, "complete", body, key=key)
        if not done.ok:
            self._done.outrun += 1
            if done.status != 409:
                self._done.surprises.append(f"{task.body['name']}: HTTP {done.status}: {done.reason}")
            return
        self._done.completed[task.body["name"]] += 1
        if done.body["state"] != "completed":
            self._done.surprises.append(f"{task.body['name']} was taken but is {done.body['state']}")
        if self._pick.random() < 0.1:
            again = await self._do(task, "complete", body, key=key)
            if (again.status, again.etag) != (done.status, done.etag):
                self._done.surprises.append(f"the same request was answered {done.status}, then {again.status}")
            self._done.repeated += 1

    async def _save_draft(self, task: Answer, form: object) -> Answer:
        path = f"/api/v1/human-tasks/{task.body['id']}"
        saved = await self._client.send("PUT", f"{path}/draft", {"form": form}, etag=task.etag)
        # A lost answer: the draft may have been kept, under a newer version.
        return saved if saved.ok else await self._client.send("GET", path)

    async def _do(self, task: Answer, action: str, body: object = None, *, key: str | None = None) -> Answer:
        path = f"/api/v1/human-tasks/{task.body['id']}/{action}"
        return await self._client.send("POST", path, body, etag=task.etag, key=key or self._key(action))

    def _key(self, action: str) -> str:
        return f"{action}-{self._login}-{self._queue}-{next(self._serial)}"
