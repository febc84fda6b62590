"""How many may earn by one sale: two by law, more where somebody answers for it by name."""

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.problems import ConfigurationProblem, Text

LEGAL_LEVELS = 2
"""Who may earn by one sale, the seller included: more is pyramid selling (《禁止传销条例》, WeChat's rules for
distribution)."""
MOST_LEVELS = 10


class AllowedLevels(BaseModel):
    """More levels than the law's usual reading allows, who said so, and why: all of it goes into the audit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: int = Field(gt=LEGAL_LEVELS, le=MOST_LEVELS)
    allowed_by: str = Field(min_length=1, max_length=100, pattern=r"^[^:\s][^:]*$")
    reason: str = Field(min_length=1, max_length=200)

    def written(self) -> str:
        """As `read_allowed_levels` reads it."""
        return f"{self.levels}:{self.allowed_by}:{self.reason}"


def read_allowed_levels(text: str) -> AllowedLevels:
    """What `levels:who:why` allows, such as `3:legal@corp.example:opinion of 2026-07`.

    :raises ConfigurationProblem: it is something else, or allows no more than the law does anyway.
    """
    levels, allowed_by, reason = (each.strip() for each in (*text.split(":", 2), "", "")[:3])
    try:
        return AllowedLevels(levels=int(levels), allowed_by=allowed_by, reason=reason)
    except (ValueError, ValidationError):
        example = "3:legal@corp.example:opinion of 2026-07"
        raise ConfigurationProblem(
            Text(
                f"应为 级数:何人允许:理由，级数 {LEGAL_LEVELS + 1} 到 {MOST_LEVELS}，例如 {example}",
                f"must be levels:who:why, of {LEGAL_LEVELS + 1} to {MOST_LEVELS} levels, for example {example}",
            )
        ) from None


class LevelLimit(NamedTuple):
    """How many levels a scheme may have here. override: who allowed more than the law does, if anybody."""

    override: AllowedLevels | None = None

    @property
    def most(self) -> int:
        return LEGAL_LEVELS if self.override is None else self.override.levels

    def answer_for(self, levels: int) -> dict[str, Any]:
        """What the audit says of a scheme with so many levels; nothing where the law allows them."""
        if levels <= LEGAL_LEVELS or self.override is None:
            return {}
        return {"levels": levels, "levels_allowed": self.override.model_dump()}

    def refusal(self) -> Text:
        """Why a scheme with more levels is refused."""
        return Text(
            f"最多 {self.most} 级获酬（含销售本人）：《禁止传销条例》与微信分销规则不允许更多级；"
            "经法务确认的例外由 TANDEM_SETTLEMENT_LEVELS 署名设定",
            f"At most {self.most} levels may earn by one sale, the seller included: more is pyramid selling. Where the "
            "law allows more, TANDEM_SETTLEMENT_LEVELS says who answers for it",
        )


LAW = LevelLimit()
ANY_LEVELS = LevelLimit(AllowedLevels(levels=MOST_LEVELS, allowed_by="nobody", reason="to read what was stored"))
"""For texts that were checked when they came in."""
