"""Corp tags by name: found, made when missing, set and taken."""

from collections.abc import Mapping
from typing import Any

from connectors.errors import missing_in_answer
from connectors.lookups import Marked
from connectors.reading import mapping, text
from connectors.wecom.api import PLATFORM, WecomApi
from connectors.wecom.codes import MEMBER_OUT_OF_SCOPE, NO_SUCH_CUSTOMER, NO_SUCH_MEMBER, NOT_A_CONTACT
from domain.problems import ConflictProblem, ProblemError
from domain.tags.sharing import Change, TagName

_OF_THE_MEMBER = frozenset(map(str, (NOT_A_CONTACT, NO_SUCH_CUSTOMER, NO_SUCH_MEMBER, MEMBER_OUT_OF_SCOPE)))
"""They are no contact any more, have left the corp, or are outside of the application's scope. Every other code tells
of something that all members have: asking for the next one would only be refused again."""


class CorpTags:
    """The tags of one corp."""

    def __init__(self, api: WecomApi) -> None:
        self._api = api

    async def find(self, group: str, name: str) -> str | None:
        """The id of a tag by its group's and its own name."""
        answer = await self._api.read("externalcontact/get_corp_tag_list", {})
        for row in _rows(answer, "tag_group"):
            if row.get("group_name") == group and row.get("deleted") is not True:
                for tag in _rows(row, "tag"):
                    if tag.get("name") == name and tag.get("deleted") is not True:
                        return text(tag, "id")
        return None

    async def names(self) -> Mapping[str, tuple[str, str]]:
        """The group and the name of every tag, by its id."""
        answer = await self._api.read("externalcontact/get_corp_tag_list", {})
        return {
            text(tag, "id"): (str(row.get("group_name") or ""), str(tag.get("name") or ""))
            for row in _rows(answer, "tag_group")
            for tag in _rows(row, "tag")
            if row.get("deleted") is not True and tag.get("deleted") is not True
        }

    async def ensure(self, group: str, name: str) -> tuple[str, bool]:
        """The id of a tag, and whether it was made just now; when a colleague is faster, theirs is taken."""
        found = await self.find(group, name)
        if found is not None:
            return found, False
        try:
            answer = await self._api.change(
                "externalcontact/add_corp_tag", {"group_name": group, "tag": [{"name": name}]}
            )
        except ConflictProblem:
            found = await self.find(group, name)
            if found is None:
                raise
            return found, False
        for tag in _rows(mapping(answer.get("tag_group"), "tag_group"), "tag"):
            if tag.get("name") == name:
                return text(tag, "id"), True
        raise missing_in_answer(PLATFORM, "tag_group.tag")

    async def change(self, external_userid: str, changes: Mapping[str, Change]) -> Marked:
        """Set and take tags at the contacts of several members; one who is out of reach holds up no other.

        Raises what the platform refuses for every member alike.
        """
        wanted = sorted({key for change in changes.values() for key in change.add})
        known = {key: number for number, key in (await self.names()).items()} if wanted else {}
        numbers = {TagName(*key): known.get(key) or (await self.ensure(*key))[0] for key in wanted}
        refused: dict[str, ProblemError] = {}
        for member, change in sorted(changes.items()):
            payload: dict[str, Any] = {"userid": member, "external_userid": external_userid}
            if change.add:
                payload["add_tag"] = [numbers[key] for key in change.add]
            if change.remove:
                payload["remove_tag"] = list(change.remove)
            try:
                await self._api.change("externalcontact/mark_tag", payload)
            except ProblemError as problem:
                if problem.problem.as_dict().get("platform_code") not in _OF_THE_MEMBER:
                    raise
                refused[member] = problem
        return Marked(numbers, refused)

    async def mark(
        self, userid: str, external_userid: str, *, add: str | None = None, remove: str | None = None
    ) -> None:
        """Set or take a tag of one member's contact."""
        change: dict[str, Any] = {"userid": userid, "external_userid": external_userid}
        if add is not None:
            change["add_tag"] = [add]
        if remove is not None:
            change["remove_tag"] = [remove]
        await self._api.change("externalcontact/mark_tag", change)


def _rows(source: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    rows = source.get(field)
    return [mapping(row, field) for row in rows] if isinstance(rows, list) else []
