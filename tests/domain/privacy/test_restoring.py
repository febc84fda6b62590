"""Whoever saw masks and sends them back never overwrites what stands behind them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.privacy import Masking, restored
from domain.problems import ValidationProblem
from tests.domain.privacy.test_masking import declarations, keys, values

masking = Masking()
DRAFT = {
    "contact": "张三",
    "phone": "13812345678",
    "note": "打了13812345678没人接",
    "rows": [{"address": "浙江省杭州市文三路1号"}, {"address": "浙江省杭州市文二路2号"}],
}
DATA = {"order": {"receiver_name": "李四", "receiver_phone": 13912345678, "birthday": "1990-01-01"}}
DECLARED: Any = {"contact": "name", "receiver": "name"}


def _restored(form: dict[str, Any], draft: Any = DRAFT) -> dict[str, Any]:
    return restored(masking, form, {"data": DATA, "draft": draft}, "draft", DECLARED)


@given(st.dictionaries(keys, values, max_size=6), values, declarations)
def test_what_was_shown_masked_comes_back_as_it_is_stored(form: dict[str, Any], data: Any, declared: Any) -> None:
    document = {"data": data, "draft": form}
    shown = masking.mask(document, declared)["draft"]
    for seen in shown, form:
        assert repr(restored(masking, {**seen, "new": 1}, document, "draft", declared)) == repr({**form, "new": 1})


def test_masks_go_back_to_their_places_and_the_rest_is_taken_as_it_is() -> None:
    shown = masking.mask({"draft": DRAFT}, DECLARED)["draft"]
    assert shown["note"] == "打了138****5678没人接"
    changed = {**shown, "phone": "13700000000", "rows": [shown["rows"][0], {"address": "福建省厦门市1号"}], "new": 1}
    assert _restored(changed) == {
        **DRAFT,
        "phone": "13700000000",
        "rows": [DRAFT["rows"][0], {"address": "福建省厦门市1号"}],
        "new": 1,
    }


def test_a_mask_copied_from_beside_the_form_becomes_what_it_masks() -> None:
    assert _restored({"receiver": "李**", "phone": "139****5678"}, None) == {"receiver": "李四", "phone": 13912345678}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"phone": "136****0000"}, "phone"),
        ({"receiver": "王**"}, "receiver"),
        ({"rows": [{}, {}, {"address": "浙江省杭州市****"}]}, "rows.2.address"),
        ({"email": "z***@example.com", "grade": "A"}, "email"),
    ],
)
def test_a_mask_of_nobody_or_of_several_is_refused(form: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationProblem) as caught:
        _restored(form)
    problem = caught.value.problem.model_dump()
    assert (problem["status"], [error["field"] for error in problem["errors"]]) == (422, [field])


def test_what_only_looks_like_a_mask_is_taken() -> None:
    """Platforms mask names themselves; a note may quote half a number; stars are stars."""
    masked_by_the_platform = {"contact": "赵**"}
    assert _restored(masked_by_the_platform, masked_by_the_platform) == masked_by_the_platform
    note = {"note": "客户尾号 137****0000，评价 *****"}
    assert _restored(note) == note
