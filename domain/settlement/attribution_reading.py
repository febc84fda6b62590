"""An `attribution:` document, read, with everything that is wrong with it at its place.

attribution:
  name: orders
  title: 订单归属
  since: 2026-01-01
  counts: [completed]
  roles:
    promoter: [channel, { scan: { within-days: 30, touch: last } }]
    store: [unit, shop]
  bonded: { shops: [tmall/hk-store] }
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from domain.dsl.findings import child, did_you_mean, listed
from domain.problems import RuntimeProblem, Text
from domain.remarks import Remark, Remarks
from domain.settlement.attribution import BASES, WAYS, AttributionRules, Basis, Search, Touch
from domain.settlement.levels import ANY_LEVELS, LAW, MOST_LEVELS, LevelLimit
from domain.settlement.scalars import read_count, read_day

ATTRIBUTION: Literal["attribution"] = "attribution"
ONLY_NAME = "orders"
"""There is one attribution: two would each say whose an order is."""
MOST_ROLES = 20
MOST_SCAN_DAYS = 366
MOST_INVITED_DAYS = 3_650
_KEYS = ("name", "version", "title", "since", "counts", "roles", "bonded")
_NEEDED = ("name", "title", "since", "roles")
_TOUCHES: tuple[Touch, ...] = ("first", "last")
_ROLE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class ReadAttribution(NamedTuple):
    """The rules, None when something in them cannot be read."""

    rules: AttributionRules | None
    remarks: list[Remark]


def read_attribution(document: Mapping[str, Any], *, level_limit: LevelLimit = LAW) -> ReadAttribution:
    """The rules of a document with the top key `attribution`. level_limit: how many levels this Tandem's settings
    allow."""
    remarks = Remarks()
    data, root = document.get(ATTRIBUTION), child("", ATTRIBUTION)
    if not isinstance(data, Mapping):
        text = Text("attribution 下面要写归属规则", "`attribution` needs rules below it")
        remarks.error("bad-resource", root, text)
        return ReadAttribution(None, remarks.found)
    remarks.unknown_keys(data, _KEYS, root)
    if missing := [key for key in _NEEDED if data.get(key) is None]:
        text = Text(f"还要写：{listed(missing)}", f"Missing: {listed(missing)}")
        remarks.error("missing-key", root, text, of_key=True)
    if data.get("name") not in (None, ONLY_NAME):
        text = Text(
            f"归属规则只有一份，名称是 {ONLY_NAME}：两份会各说各的",
            f"There is one attribution, and its name is {ONLY_NAME}: two would each say whose an order is",
        )
        remarks.error("not-the-only", child(root, "name"), text)
    since = read_day(data["since"], child(root, "since"), remarks) if data.get("since") is not None else None
    bonded = _bonded(data.get("bonded"), child(root, "bonded"), remarks)
    rules = AttributionRules(
        name=ONLY_NAME,
        version=str(data.get("version", "1.0.0")),
        counts=_counts(data.get("counts", ["completed"]), child(root, "counts"), remarks),
        since=since or date.max,
        roles=_roles(data.get("roles"), child(root, "roles"), level_limit, remarks),
        bonded_shops=bonded["shops"],
        bonded_categories=bonded["categories"],
    )
    return ReadAttribution(None if remarks.has_errors else rules, remarks.found)


def check_attribution(document: Mapping[str, Any], level_limit: LevelLimit = LAW) -> list[Remark]:
    """Everything there is to say about a document with the top key `attribution`, but for what its model checks."""
    return read_attribution(document, level_limit=level_limit).remarks


def attribution_of(properties: Mapping[str, Any]) -> AttributionRules:
    """The rules of a stored version's properties. Raises RuntimeProblem when this Tandem cannot read them.

    Whatever is allowed now: see `scheme_of`.
    """
    given = {key: value for key, value in properties.items() if value is not None}
    rules, remarks = read_attribution({ATTRIBUTION: given}, level_limit=ANY_LEVELS)
    if rules is None:
        first = next(each for each in remarks if each.severity == "error")
        version = properties.get("version")
        raise RuntimeProblem(
            Text(
                f"归属规则 {version} 无法读取：{first.message.zh}",
                f"The attribution {version} cannot be read: {first.message.en}",
            )
        )
    return rules


def _counts(data: Any, place: str, remarks: Remarks) -> tuple[Basis, ...]:
    given = data if isinstance(data, list) else [data]
    found = tuple(basis for basis in BASES if basis in given)
    if not found or len(found) != len(given):
        text = Text("counts 写 paid、completed 之一或两者", "`counts` is `paid`, `completed`, or both")
        remarks.error("bad-counts", place, text)
    return found


def _roles(data: Any, place: str, level_limit: LevelLimit, remarks: Remarks) -> Mapping[str, tuple[Search, ...]]:
    if data is None:
        return {}
    if not isinstance(data, Mapping) or not 0 < len(data) <= MOST_ROLES:
        text = Text(
            f"roles 下面写 1 到 {MOST_ROLES} 个“角色: [归属方式]”",
            f"`roles` has 1 to {MOST_ROLES} times “role: [ways]” below it",
        )
        remarks.error("bad-roles", place, text)
        return {}
    found: dict[str, tuple[Search, ...]] = {}
    for role, ways in data.items():
        at = child(place, str(role))
        if not isinstance(role, str) or not _ROLE.fullmatch(role):
            text = Text("角色名用小写字母、数字和连字符", "A role is small letters, digits and hyphens")
            remarks.error("bad-roles", at, text, of_key=True)
            continue
        listed_ways = ways if isinstance(ways, list) else [ways]
        searches = [_search(each, child(at, number), level_limit, remarks) for number, each in enumerate(listed_ways)]
        found[role] = tuple(each for each in searches if each is not None)
        if not listed_ways:
            remarks.error("bad-way", at, Text("至少写一种归属方式", "Say one way at least"))
    return found


def _search(data: Any, place: str, level_limit: LevelLimit, remarks: Remarks) -> Search | None:
    if data in ("scan", "inviter"):
        data = {data: {}}
    if isinstance(data, str):
        way = next((way for way in WAYS if way == data), None)
        if way is None:
            near = did_you_mean(data, WAYS)
            text = Text(
                f"没有归属方式“{data}”。{near.zh}可用：{listed(WAYS)}",
                f"There is no way “{data}”.{near.en} There are: {listed(WAYS)}",
            )
            remarks.error("unknown-way", place, text)
            return None
        return Search(way)
    named, more = next(iter(data.items())) if isinstance(data, Mapping) and len(data) == 1 else ("", None)
    if named == "scan" and isinstance(more, Mapping):
        return _scan(more, child(place, named), remarks)
    if named == "inviter" and isinstance(more, Mapping):
        return _inviter(more, child(place, named), level_limit, remarks)
    examples = "{ scan: { within-days: 30, touch: last } }", "{ inviter: { levels: 2, within-days: 365 } }"
    text = Text(f"写 {listed(WAYS)}，或 {'、'.join(examples)}", f"Write {listed(WAYS)}, or {' or '.join(examples)}")
    remarks.error("bad-way", place, text)
    return None


def _scan(data: Mapping[str, Any], place: str, remarks: Remarks) -> Search | None:
    remarks.unknown_keys(data, ("within-days", "touch"), place)
    if "within-days" not in data:
        text = Text(
            "要写 within-days：扫码后多少天内的订单算数", "Say `within-days`: for how long after a scan orders count"
        )
        remarks.error("missing-key", place, text)
        return None
    days = read_count(data["within-days"], child(place, "within-days"), remarks, least=1, most=MOST_SCAN_DAYS)
    touch = next((touch for touch in _TOUCHES if touch == data.get("touch", "last")), None)
    if touch is None:
        text = Text("touch 写 first（最早）或 last（最近）", "`touch` is `first` or `last`")
        remarks.error("bad-choice", child(place, "touch"), text)
    return Search("scan", days, touch) if days is not None and touch is not None else None


def _inviter(data: Mapping[str, Any], place: str, level_limit: LevelLimit, remarks: Remarks) -> Search | None:
    remarks.unknown_keys(data, ("levels", "within-days"), place)
    levels = read_count(data.get("levels", 1), child(place, "levels"), remarks, least=1, most=MOST_LEVELS)
    if levels is not None and levels > level_limit.most:
        remarks.error("too-many-levels", child(place, "levels"), level_limit.refusal())
    days: int | None = 0
    if "within-days" in data:
        days = read_count(data["within-days"], child(place, "within-days"), remarks, least=1, most=MOST_INVITED_DAYS)
    return Search("inviter", days, levels=levels) if days is not None and levels is not None else None


def _bonded(data: Any, place: str, remarks: Remarks) -> Mapping[str, frozenset[str]]:
    found = {"shops": frozenset[str](), "categories": frozenset[str]()}
    if data is None:
        return found
    if not isinstance(data, Mapping) or not data:
        text = Text("bonded 下面写 shops 或 categories", "`bonded` has `shops` or `categories` below it")
        remarks.error("bad-value", place, text)
        return found
    remarks.unknown_keys(data, tuple(found), place)
    for key in found:
        values = data.get(key, [])
        if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
            text = Text("这里写文本的列表", "A list of texts belongs here")
            remarks.error("bad-value", child(place, key), text)
            continue
        found[key] = frozenset(values)
    return found
