"""Templates: what they can say, and that none of them can do harm or take long."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.template_process import MAX_OUTPUT_BYTES
from connectors.templates import TemplateRenderer
from domain.problems import ConfigurationProblem, ProblemError, ValidationProblem


@pytest.fixture(scope="module")
async def renderer() -> AsyncIterator[TemplateRenderer]:
    async with TemplateRenderer() as made:
        await made.render("warm", {})
        yield made


async def test_a_template_speaks_of_its_data(renderer: TemplateRenderer) -> None:
    text = "{{ name }}，您的退款 ¥{{ amount_minor|yuan }} 已到账{% if vip %}，感谢支持{% endif %}。"
    said = await renderer.render(text, {"name": "林晓", "amount_minor": 29900, "vip": True})
    assert said == "林晓，您的退款 ¥299.00 已到账，感谢支持。"


async def test_lists_are_gone_through(renderer: TemplateRenderer) -> None:
    said = await renderer.render(
        "{% for line in lines %}{{ line.title }};{% endfor %}", {"lines": [{"title": "大衣"}] * 2}
    )
    assert said == "大衣;大衣;"


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("{{ nmae }}", "nmae"),
        ("{{ order.nmuber }}", "nmuber"),
        ("{% if gone %}{% endif %}", "gone"),
        ("{{ a.b.c }}", "b"),
    ],
)
async def test_a_missing_variable_is_named(renderer: TemplateRenderer, text: str, variable: str) -> None:
    with pytest.raises(ValidationProblem, match=variable) as error:
        await renderer.render(text, {"name": "x", "order": {"number": 1}, "a": {}})
    problem = error.value.problem.as_dict()
    assert problem["variable"] == variable
    assert variable in problem["message"]["zh"]


async def test_a_missing_variable_may_have_a_default(renderer: TemplateRenderer) -> None:
    assert await renderer.render("{{ name|default('顾客') }}", {}) == "顾客"


async def test_a_syntax_error_names_its_line(renderer: TemplateRenderer) -> None:
    with pytest.raises(ConfigurationProblem) as error:
        await renderer.render("好\n{% if %}", {})
    assert error.value.problem.as_dict()["line"] == 2


HOSTILE = {
    "endless range": "{% for i in range(10**9) %}{% endfor %}",
    "nested ranges": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "internals": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "internals by filter": "{{ ''|attr('__class__') }}",
    "internals by format": "{{ '{0.__class__}'.format(1) }}",
    "globals of a function": "{{ range.__globals__ }}",
    "50 MB": "{{ 'x' * 50000000 }}",
    "4 GB": "{{ 'x' * 4294967296 }}",
    "padding": "{{ 'x'|center(1000000000) }}",
    "doubling": "{% set n = namespace(x='xxxxxx') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "huge power": "{{ 10 ** (10 ** 9) }}",
    "huge power, not folded": "{{ n ** (n ** 9) }}",
    "recursive macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "deep parentheses": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "long output": "{% for i in range(99999) %}0123456789{% endfor %}",
    "another file": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "changing data": "{{ items.append(1) }}",
    "wrong type": "{{ n + 'x' }}",
    "division by zero": "{{ n / 0 }}",
    "cycler": "{% for i in range(99999) %}{{ cycler(1, 2).next() }}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "noise": "{{ lipsum(n=10000) }}",
    "chance": "{{ [1, 2]|random }}",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_template_ends_in_a_clear_problem(renderer: TemplateRenderer, name: str) -> None:
    await renderer.render("warm again", {})
    begun = time.process_time(), time.perf_counter()
    with pytest.raises(ProblemError) as error:
        await renderer.render(HOSTILE[name], {"n": 10, "items": []})
    took_s = time.perf_counter() - begun[1]
    problem = error.value.problem.as_dict()
    assert problem["status"] == 400
    assert {"zh", "en"} == set(problem["message"])
    assert problem["retryable"] is False
    # 0.2 s on a machine with a core to give; a crowded one gets slack, an endless template none.
    assert took_s < 5.0
    assert await renderer.render("still here", {}) == "still here"


async def test_a_hostile_template_costs_the_worker_nothing(renderer: TemplateRenderer) -> None:
    await renderer.render("warm again", {})
    begun = time.process_time()
    with pytest.raises(ConfigurationProblem, match="too much time"):
        await renderer.render(HOSTILE["nested ranges"], {})
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("text", "data"),
    [("x" * 30_000, {}), ("{{ a }}", {"a": "x" * 300_000}), ("{{ a }}", {"a": float("nan")}), ("x", {"a": object()})],
    ids=["long template", "much data", "not a number", "no JSON"],
)
async def test_what_is_too_large_or_no_json_is_refused(renderer: TemplateRenderer, text: str, data: Any) -> None:
    with pytest.raises(ValidationProblem):
        await renderer.render(text, data)


async def test_an_output_up_to_the_limit_is_whole(renderer: TemplateRenderer) -> None:
    assert len(await renderer.render("{{ a }}", {"a": "甲" * (MAX_OUTPUT_BYTES // 3)})) == MAX_OUTPUT_BYTES // 3
    with pytest.raises(ConfigurationProblem, match="shorter"):
        await renderer.render("{{ a }}", {"a": "甲" * (MAX_OUTPUT_BYTES // 3 + 1)})


async def test_a_caller_who_leaves_does_not_give_its_answer_to_the_next(renderer: TemplateRenderer) -> None:
    leaving = asyncio.create_task(renderer.render("first", {}))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert await renderer.render("second", {}) == "second"


async def test_many_at_once_each_get_their_own(renderer: TemplateRenderer) -> None:
    said = await asyncio.gather(*(renderer.render("{{ n }}", {"n": number}) for number in range(50)))
    assert said == [str(number) for number in range(50)]


async def test_the_process_sees_no_environment(renderer: TemplateRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_SECRET_FOR_TEST", "x")
    async with TemplateRenderer() as fresh:
        await fresh.render("x", {})
        process = fresh._process
        assert process is not None
        environment = await asyncio.to_thread(Path(f"/proc/{process.pid}/environ").read_bytes)
        assert b"TANDEM" not in environment
    assert "TANDEM_SECRET_FOR_TEST" in os.environ
