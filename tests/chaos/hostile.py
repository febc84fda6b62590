"""Hostile expressions and templates against a worker that serves others: the answers, the times, and the others.

python -m tests.chaos.hostile
"""

import asyncio
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path

import yaml
from temporalio.client import WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner

from connectors.templates import TemplateRenderer
from domain.problems import ProblemError
from runtime.embedded import EmbeddedTemporal
from runtime.rehearsal import Rehearsal

EXPRESSIONS = {
    "endless recursion": "def f: f; f",
    "endless repetition": "[repeat(1)] | length",
    "a billion numbers": "[range(1000000000)] | length",
    "a billion characters": '"x" * 1000000000',
    "doubling lists": "reduce range(60) as $i ([1]; . + .)",
    "a far index": "[] | setpath([999999999]; 1)",
    "deep nesting": "reduce range(100000) as $i (null; [.])",
    "a huge power": "pow(9; 9999999) * pow(9; 9999999)",
    "the environment": "$ENV.HOME + env.PATH",
    "a regex bomb": '"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!" | test("(a+)+$")',
}
TEMPLATES = {
    "endless loop": "{% for i in range(10**9) %}x{% endfor %}",
    "python's insides": "{{ ''.__class__.__mro__ }}",
    "fifty megabytes": "{{ 'x' * 50000000 }}",
    "nested loops": "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}",
}
NEIGHBOURS = 40


def flow(name: str, expression: str) -> str:
    """A definition of one step with that expression, put there without the linter that would refuse it."""
    document = {"dsl": "1.0.3", "namespace": "hostile", "name": name, "version": "1.0.0"}
    return yaml.safe_dump({"document": document, "do": [{"step": {"set": {"x": f"${{ {expression} }}"}}}]})


async def one(rehearsal: Rehearsal, run_id: str, text: str) -> tuple[float, str]:
    """How long a run took, in milliseconds, and how it ended."""
    began = time.perf_counter()
    handle = await rehearsal.start(text, run_id)
    try:
        await asyncio.wait_for(handle.result(), 60)
        ended = "completed"
    except WorkflowFailureError:
        report = next(report for report in reversed(rehearsal.reports) if report.run_id == run_id)
        ended = f"{report.phase}: {(report.error or {}).get('code') or (report.error or {}).get('type')}"
    return (time.perf_counter() - began) * 1000, ended


async def neighbours(rehearsal: Rehearsal, prefix: str) -> list[float]:
    """The times of ordinary runs, two at once."""
    text = flow("ordinary", "[range(20)] | add")
    times = []
    for number in range(0, NEIGHBOURS, 2):
        pair = await asyncio.gather(
            one(rehearsal, f"{prefix}/{number}", text), one(rehearsal, f"{prefix}/{number + 1}", text)
        )
        assert all(ended == "completed" for _, ended in pair)
        times += [took for took, _ in pair]
    return times


async def expressions() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedTemporal(Path(folder)) as server:
            rehearsal = Rehearsal(await server.client())
            async with rehearsal.worker(UnsandboxedWorkflowRunner()):
                await neighbours(rehearsal, "warm")
                alone = await neighbours(rehearsal, "alone")
                others = asyncio.create_task(neighbours(rehearsal, "beside"))
                print(f"{'expression':<24}{'ms':>8}  answer")
                for number, (name, expression) in enumerate(EXPRESSIONS.items()):
                    took, ended = await one(rehearsal, f"hostile/{number}", flow(f"h{number}", expression))
                    print(f"{name:<24}{took:>8.0f}  {ended}")
                beside = await others
                print(
                    f"\n{NEIGHBOURS} ordinary runs, median ms: alone {statistics.median(alone):.0f}, "
                    f"beside the hostile ones {statistics.median(beside):.0f}, worst {max(beside):.0f}; all completed"
                )


async def templates() -> None:
    print(f"\n{'template':<24}{'ms':>8}  answer")
    async with TemplateRenderer() as renderer:
        await renderer.render("{{ a }}", {"a": 1})
        for name, template in TEMPLATES.items():
            began = time.perf_counter()
            try:
                await renderer.render(template, {})
                answer = "rendered"
            except ProblemError as error:
                answer = error.problem.detail or ""
            print(f"{name:<24}{(time.perf_counter() - began) * 1000:>8.0f}  {json.dumps(answer)[:90]}")
        assert await renderer.render("{{ a }}", {"a": 1}) == "1"


async def main() -> None:
    """Both tables."""
    await expressions()
    await templates()


if __name__ == "__main__":
    asyncio.run(main())
    gc.collect()
