"""Which version of a flow a new run gets.

A release is a stable version and, beside it, perhaps a candidate with a share. A subject's side is drawn by a stable
hash, so growing the share only ever moves subjects from the stable version to the candidate.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.ids import bucket
from domain.problems import ConflictProblem, Text, ValidationProblem

ReleaseAction = Literal["release", "rollback"]

BUCKETS = 10_000


class ReleaseState(BaseModel):
    """What new runs of one flow get: `candidate` for `share_percent` of the subjects, `stable` for the others."""

    model_config = ConfigDict(frozen=True)

    stable: str | None = None
    candidate: str | None = None
    share_percent: float = Field(default=0, ge=0, le=100)

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that a new run may get."""
        return tuple(version for version in (self.stable, self.candidate) if version is not None)


NOTHING_RELEASED = ReleaseState()


def choose_version(state: ReleaseState, flow: str, subject: str) -> str | None:
    """The version for this subject; None when the flow is not released to it.

    flow: `namespace/name`, the salt of the draw. subject: `kind:id`.
    """
    if state.candidate is not None and bucket_of(flow, subject) < buckets(state.share_percent):
        return state.candidate
    return state.stable


def bucket_of(salt: str, subject: str) -> int:
    """The place of a subject, 0 to 9,999, in the draw for one flow, rule or grading."""
    return bucket(subject, salt, size=BUCKETS)


def buckets(share_percent: float) -> int:
    """How many of all buckets, the first ones, a share is."""
    return round(share_percent * 100)


def require_share(share_percent: float) -> None:
    """Raises ValidationProblem unless it is 0 to 100 percent."""
    if not 0 <= share_percent <= 100:
        raise ValidationProblem(
            Text("放量比例应在 0 到 100 之间", "The share must be 0 to 100 percent"), share_percent=share_percent
        )


def released(state: ReleaseState, version: str, share_percent: float) -> ReleaseState:
    """The state after giving `version` to `share_percent` of new runs; at 100 it becomes the stable version.

    :raises ConflictProblem: the version is the stable one already, and a share below 100 would mean nothing.
    """
    if share_percent >= 100:
        return ReleaseState(stable=version)
    if version == state.stable:
        raise ConflictProblem(
            Text(
                f"版本 {version} 已是正式版本，不能只放量 {share_percent:g}%。"
                "要换回旧版本请用回滚，要灰度请发布新版本。",
                f"Version {version} is the stable one already and cannot be released to {share_percent:g} %. "
                "Roll back to get an older version, or release a newer version to a share.",
            )
        )
    return ReleaseState(stable=state.stable, candidate=version, share_percent=share_percent)


def rolled_back(state: ReleaseState, history: Sequence[tuple[ReleaseAction, str | None]]) -> ReleaseState:
    """The state after a roll-back: a candidate is dropped; without one, the stable version before this one returns.

    history: action and stable version of every release of the flow, oldest first, the present one last.

    :raises ConflictProblem: there is nothing to go back to.
    """
    if state.candidate is not None:
        return ReleaseState(stable=state.stable)
    stables: list[str] = []
    for action, stable in history:
        if stable is None or (stables and stables[-1] == stable):
            continue
        if action == "rollback" and stable in stables:
            del stables[len(stables) - stables[::-1].index(stable) :]
        else:
            stables.append(stable)
    if len(stables) < 2:
        raise ConflictProblem(
            Text("没有更早的正式版本可以回滚。", "There is no earlier stable version to roll back to.")
        )
    return ReleaseState(stable=stables[-2])
