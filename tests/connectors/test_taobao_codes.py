"""What an error code of Taobao's means: tried again, or not."""

import pytest

from connectors.taobao.gateway import raise_refusal
from domain.problems import ProblemError


@pytest.mark.parametrize(
    ("sub_code", "again"), [("", True), ("isp.http-read-timeout", True), ("isv.shop-not-open", False)]
)
def test_a_fault_of_the_service_is_tried_again_unless_it_is_the_callers(sub_code: str, again: bool) -> None:
    with pytest.raises(ProblemError) as error:
        raise_refusal({"code": 15, "msg": "Remote service error", "sub_code": sub_code}, effect=True)
    told = error.value.problem.as_dict()
    assert (told["retryable"], told["outcome"]) == (again, "unknown" if again else "not_done")
