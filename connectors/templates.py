"""Message templates: Jinja2, rendered where it can do no harm.

Templates are written by operators and speak of customers' data, so they run in a process of their own with bounded CPU
time, memory and output, without environment and without access to Python's internals. A template that goes too far
costs that process and nothing else.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectors.template_process import MAX_OUTPUT_BYTES
from domain.problems import ConfigurationProblem, ProblemError, Text, UnavailableProblem, ValidationProblem

MAX_TEMPLATE_BYTES = 20_480
MAX_DATA_BYTES = 262_144
# CPU time is what bounds a render; these only bound a machine that has none to give.
ANSWER_S = 2.0
START_S = 20.0
_SCRIPT = Path(__file__).with_name("template_process.py")


class TemplateRenderer:
    """Renders templates, one at a time. Close it when done; it starts its process when it is first used."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def render(self, text: str, data: Mapping[str, Any]) -> str:
        """The text with `data` filled in, at most 10 kB.

        Besides Jinja2's own filters there is `yuan`: 29900 → 299.00.
        Raises ValidationProblem (a variable is missing, too much data), ConfigurationProblem (the template is wrong,
        asks for what it may not have, or costs too much) or UnavailableProblem (no answer in time; worth a retry).
        """
        if len(text.encode(errors="replace")) > MAX_TEMPLATE_BYTES:
            raise _too_large("模板", "The template", MAX_TEMPLATE_BYTES)
        line = _request(text, data)
        async with self._turn:
            answer = await self._ask(line)
        if "output" in answer:
            return str(answer["output"])
        raise _refusal(answer)

    async def close(self) -> None:
        """Stop the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _ask(self, line: bytes) -> dict[str, Any]:
        process = await self._started()
        if process.stdin is None or process.stdout is None:
            raise AssertionError("the process has pipes")
        try:
            async with asyncio.timeout(ANSWER_S):
                process.stdin.write(line)
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except (TimeoutError, BrokenPipeError, ConnectionResetError) as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise _no_time() from None
            return {"fault": "expensive"}
        except BaseException:
            # A cancelled caller leaves its answer in the pipe, which must not become the next one's.
            await self.close()
            raise
        if not answer:
            await self.close()
            return {"fault": "expensive"}
        parsed: dict[str, Any] = json.loads(answer)
        return parsed

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-X",
            "utf8",
            str(_SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            limit=8 * MAX_OUTPUT_BYTES,
        )
        self._process = process
        try:
            async with asyncio.timeout(START_S):
                greeting = await process.stdout.readline() if process.stdout is not None else b""
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise _no_time() from None
            raise
        if greeting.strip() != b"ready":
            await self.close()
            raise _no_time()
        return process


def _request(text: str, data: Mapping[str, Any]) -> bytes:
    try:
        line = json.dumps({"text": text, "data": dict(data)}, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise ValidationProblem(
            Text("模板数据必须是 JSON 数据", "A template's data must be JSON"), retryable=False, outcome="not_done"
        ) from None
    if len(line) > MAX_DATA_BYTES:
        raise _too_large("模板数据", "The template's data", MAX_DATA_BYTES)
    return line + b"\n"


def _refusal(answer: Mapping[str, Any]) -> ProblemError:
    members: dict[str, Any] = {"retryable": False, "outcome": "not_done"}
    match answer["fault"]:
        case "undefined":
            name = answer["name"]
            return ValidationProblem(
                Text(
                    f"模板用到了没有提供的变量“{name}”，请在 data 中给出，或用 {{{{ {name}|default('…') }}}}",
                    f"The template speaks of “{name}”, which was not given: put it into data, "
                    f"or write {{{{ {name}|default('…') }}}}",
                ),
                variable=name,
                **members,
            )
        case "syntax":
            line, reason = answer["line"], answer["reason"]
            detail = Text(f"模板第 {line} 行语法不正确：{reason}", f"The template is wrong in line {line}: {reason}")
            return ConfigurationProblem(detail, line=line, **members)
        case "long":
            detail = Text(
                f"模板的结果超过 {MAX_OUTPUT_BYTES} 字节，请缩短",
                f"The template gives more than {MAX_OUTPUT_BYTES} bytes; make it shorter",
            )
        case "forbidden":
            detail = Text(
                "模板访问了不允许的内部属性，请只使用 data 中的变量与内置过滤器",
                "The template reaches for internals; use the variables in data and the built-in filters only",
            )
        case "expensive":
            detail = Text(
                "模板的计算量或内存超出限制，已中止，请简化循环与运算",
                "The template needs too much time or memory and was stopped; simplify its loops and arithmetic",
            )
        case _:
            reason = answer.get("reason", "")
            detail = Text(f"模板执行失败：{reason}", f"The template failed: {reason}")
    return ConfigurationProblem(detail, **members)


def _too_large(zh: str, en: str, limit: int) -> ValidationProblem:
    return ValidationProblem(
        Text(f"{zh}超过 {limit} 字节，请缩短", f"{en} has more than {limit} bytes; make it shorter"),
        retryable=False,
        outcome="not_done",
    )


def _no_time() -> UnavailableProblem:
    return UnavailableProblem(
        Text("模板服务暂时没有应答，稍后自动重试", "Templates are not rendered in time; it is tried again later"),
        retryable=True,
        outcome="not_done",
        retry_after_s=1.0,
    )
