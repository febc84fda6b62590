"""A tag rule in force: its condition read, and which records it looks at."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from domain.dsl.findings import child
from domain.problems import RuntimeProblem, Text
from domain.tags.conditions import Condition, leaves
from domain.tags.facts import EVERY_KIND, FACTS
from domain.tags.reading import read_condition
from domain.tags.sense import holds_for_strangers


@dataclass(frozen=True, slots=True)
class LiveRule:
    """condition: None for a rule that is switched off and holds for nobody.

    looks_at: kinds of records (`Record.kind`) after which it has to be looked at again. share: whether the tag goes to
    WeCom.
    """

    name: str
    version: str
    tag: str
    condition: Condition | None
    looks_at: frozenset[str]
    title: str = ""
    group: str | None = None
    share: bool = False

    @property
    def key(self) -> str:
        """How checks and backfills call it."""
        return self.name

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What it asks, none when it is switched off."""
        return () if self.condition is None else (self.condition,)

    def switched_off(self) -> "LiveRule":
        """The same for nobody: it takes the tag from who has it, and no record calls for it."""
        return replace(self, condition=None, looks_at=frozenset())

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "LiveRule":
        """The rule of a stored version's properties. Raises RuntimeProblem when this Tandem cannot read it."""
        name, version = str(properties["name"]), str(properties["version"])
        title = properties.get("title") or {}
        said = title.get("zh") or next(iter(title.values()), name)
        group, share = properties.get("group"), properties.get("share") is True
        if not properties.get("active", True):
            return cls(name, version, str(properties["tag"]), None, EVERY_KIND, said, group, share)
        condition, remarks = read_condition(properties["when"], child("", "when"))
        if condition is None:
            first = next(each for each in remarks if each.severity == "error")
            raise RuntimeProblem(
                Text(
                    f"标签规则 {name} {version} 无法读取：{first.message.zh}",
                    f"The tag rule {name} {version} cannot be read: {first.message.en}",
                )
            )
        looks_at = EVERY_KIND
        if not holds_for_strangers(condition):
            looks_at = frozenset().union(*(FACTS[leaf.fact].looks_at for leaf in leaves(condition)))
        return cls(name, version, str(properties["tag"]), condition, looks_at, said, group, share)
