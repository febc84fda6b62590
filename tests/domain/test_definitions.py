from domain.definitions import diff_flows, text_diff
from domain.dsl.definition import parse_definition

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: a, version: '1.0.0'}\n"
BEFORE = (
    HEAD
    + """
do:
  - guard:
      try:
        - pay: {set: {n: 1}}
      catch:
        do:
          - tell: {set: {m: 1}}
  - finish: {set: {done: true}}
"""
)


def _diff(after: str) -> tuple[tuple[str, ...], ...]:
    diff = diff_flows(parse_definition(BEFORE).flow, parse_definition(after).flow, "")
    return diff.added, diff.removed, diff.changed, diff.sections


def test_a_change_inside_a_block_is_told_of_the_inner_task_alone() -> None:
    assert _diff(BEFORE.replace("n: 1", "n: 2")) == ((), (), ("guard/pay",), ())
    assert _diff(BEFORE.replace("m: 1", "m: 2")) == ((), (), ("guard/tell",), ())


def test_added_removed_and_other_sections() -> None:
    after = BEFORE.replace("  - finish: {set: {done: true}}", "  - rest: {wait: PT1H}") + "timeout: {after: P1D}\n"
    assert _diff(after) == (("rest",), ("finish",), (), ("timeout",))


def test_moving_a_task_is_no_change_of_it() -> None:
    after = HEAD + "do:\n  - first: {wait: PT1S}\n" + BEFORE.partition("do:\n")[2]
    assert _diff(after) == (("first",), (), (), ())


def test_equal_texts_have_no_diff() -> None:
    assert text_diff("a\nb", "a\nb", "1", "2") == ""
    assert text_diff("a\nb", "a\nc", "1.0.0", "1.1.0").splitlines()[:2] == ["--- 1.0.0", "+++ 1.1.0"]
