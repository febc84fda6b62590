"""More levels than the law allows need a name and a reason."""

import pytest

from domain.problems import ConfigurationProblem
from domain.settlement.levels import ANY_LEVELS, LAW, AllowedLevels, LevelLimit, read_allowed_levels

THREE = AllowedLevels(levels=3, allowed_by="legal@corp.example", reason="opinion of 2026-07: see archive")


def test_who_allowed_how_many_and_why() -> None:
    assert read_allowed_levels(" 3 : legal@corp.example : opinion of 2026-07: see archive ") == THREE
    assert read_allowed_levels(THREE.written()) == THREE


@pytest.mark.parametrize("wrong", ["3", "3:", "3:legal", "3::why", "3:legal: ", "2:legal:why", "11:legal:why", "x:a:b"])
def test_without_a_name_a_reason_or_a_need_it_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationProblem) as refused:
        read_allowed_levels(wrong)
    assert "级数:何人允许:理由" in refused.value.text.zh
    assert "levels:who:why" in refused.value.text.en


def test_only_what_goes_beyond_the_law_is_answered_for() -> None:
    level_limit = LevelLimit(THREE)
    assert (LAW.most, level_limit.most, ANY_LEVELS.most) == (2, 3, 10)
    assert level_limit.answer_for(2) == LAW.answer_for(2) == {}
    assert level_limit.answer_for(3) == {
        "levels": 3,
        "levels_allowed": {
            "levels": 3,
            "allowed_by": "legal@corp.example",
            "reason": "opinion of 2026-07: see archive",
        },
    }
    assert "最多 3 级" in level_limit.refusal().zh
    assert "TANDEM_SETTLEMENT_LEVELS" in LAW.refusal().en
