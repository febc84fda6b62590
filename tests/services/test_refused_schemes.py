"""What the settlement's issue calls bad input, in the text of a scheme: refused at its line, in both languages, and
nothing is stored."""

import pytest

from domain.access import Role
from domain.problems import ValidationProblem
from services.definition_sources import SourceText
from services.definitions import DefinitionService
from storage.definitions import Definitions
from storage.engine import Database
from storage.unit_of_work import UnitOfWork
from tests.actors import an_actor

TEXT = """\
scheme:
  name: wrong
  title: 有误的方案
  cycle: month
  from: 2026-01-01
  earns:
    - name: sales
      title: 销售提成
      of: kept
      {formula}
"""


@pytest.mark.parametrize(
    ("formula", "code", "line", "zh", "en"),
    [
        ("rate: 0.05", "unquoted-fraction", 10, "要加引号，例如 '5%'", "are quoted, such as '5%'"),
        ("rate: '-5%'", "bad-rate", 10, "0 到 100 的百分比", "A percentage of 0 to 100"),
        ("rate: '100.01%'", "bad-rate", 10, "0 到 100 的百分比", "A percentage of 0 to 100"),
        (
            "tiers:\n        volume:\n          - { from: '0.00', rate: '5%' }\n"
            "          - { from: '100.00', rate: '6%' }\n          - { from: '99.00', rate: '7%' }",
            "overlapping-tiers",
            14,
            "起点 99.00 不高于上一档的 100.00，两档重叠",
            "begins at 99.00, not above 100.00: they overlap",
        ),
        (
            "tiers:\n        graduated:\n          - { from: 0, rate: '5%' }",
            "unquoted-fraction",
            12,
            "要加引号",
            "are quoted",
        ),
        (
            "tiers:\n        graduated:\n          - { from: '100.00', rate: '5%' }",
            "gap-in-tiers",
            12,
            "第一档要从 0 开始",
            "begins at 0",
        ),
        ("rate: '5%'\n      floor: 10.50", "unquoted-fraction", 11, "例如 '10.50'", "such as '10.50'"),
        ("rate: '5%'\n      cap: '-1.00'", "negative-amount", 11, "不能为负", "is not negative"),
        ("rate: '5%'\n      level: 2", "too-many-levels", 11, "3 级获酬", "pays 3 levels"),
    ],
)
async def test_it_is_refused_with_place_and_reason(
    database: Database, formula: str, code: str, line: int, zh: str, en: str
) -> None:
    definitions = DefinitionService(database)
    with pytest.raises(ValidationProblem) as refused:
        await definitions.upload(an_actor("ops-li", Role.OPS), [SourceText("s.yaml", TEXT.format(formula=formula))])
    (finding,) = refused.value.problem.as_dict()["findings"]
    assert (finding["file"], finding["code"], finding["line"]) == ("s.yaml", code, line)
    assert zh in finding["message"]["zh"]
    assert en in finding["message"]["en"]
    async with UnitOfWork(database) as work:
        assert await Definitions(work).names("scheme") == set()
