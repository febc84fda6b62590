"""Columns by their titles, Chinese or English, in any order."""

from collections.abc import Mapping, Sequence

from domain.dsl.findings import did_you_mean
from domain.problems import Text, ValidationProblem


def places_of(columns: Sequence[str], titles: Mapping[str, tuple[str, ...]], needed: Sequence[str]) -> dict[str, int]:
    """Where the column of each field is. titles: of each field, the Chinese one first and the English one last.

    :raises ValidationProblem: a needed column is missing, or one is unknown.
    """
    known = {title: field for field, each in titles.items() for title in each}
    found: dict[str, int] = {}
    for place, title in enumerate(columns):
        field = known.get(title.strip().lower())
        if field is None:
            near = did_you_mean(title, known)
            zh, en = "、".join(each[0] for each in titles.values()), ", ".join(each[-1] for each in titles.values())
            raise ValidationProblem(
                Text(
                    f"不认识“{title}”这一列。{near.zh}可用：{zh}",
                    f"There is no column “{title}”.{near.en} There are: {en}",
                )
            )
        found[field] = place
    if missing := [field for field in needed if field not in found]:
        zh, en = "、".join(titles[field][0] for field in missing), ", ".join(titles[field][-1] for field in missing)
        raise ValidationProblem(Text(f"缺少列：{zh}", f"Missing columns: {en}"))
    return found
