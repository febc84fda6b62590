"""Splits that repeat: the same subject lands in the same branch, today and in every retry."""

from itertools import accumulate

from domain.catalog.flow import SplitArguments
from domain.ids import bucket
from domain.problems import Text, ValidationProblem

HOLDOUT = "holdout"
_BUCKETS = 10_000


def choose_branch(split: SplitArguments, run_subject: str) -> str:
    """The branch of the subject; `holdout` when the shares leave it out.

    Raises ValidationProblem when a share is negative, the shares exceed 100 %, or there is no subject to split by.
    """
    subject = split.subject or run_subject
    if not subject:
        raise ValidationProblem(
            Text("分流需要主体：请给出 subject", "A split needs somebody to split by: give a subject"), call="split"
        )
    shares = [round(share * 100) for share in split.shares.values()]
    if min(shares) < 0 or sum(shares) > _BUCKETS:
        raise ValidationProblem(
            Text(
                "各分支比例须不小于 0 且合计不超过 100", "Shares must not be negative and must not exceed 100 together"
            ),
            call="split",
        )
    place = bucket(subject, split.salt, size=_BUCKETS)
    for name, upper in zip(split.shares, accumulate(shares), strict=True):
        if place < upper:
            return name
    return HOLDOUT
