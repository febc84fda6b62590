"""The whole of a `scheme:` document, read, with everything that is wrong with it at its place."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Literal, NamedTuple

from domain.dsl.findings import child, listed
from domain.money import HOME_CURRENCY
from domain.problems import RuntimeProblem, Text
from domain.remarks import Remark, Remarks
from domain.settlement.component_reading import Surroundings, read_component
from domain.settlement.exact import ROUNDINGS, Rounding
from domain.settlement.levels import ANY_LEVELS, LAW, LEGAL_LEVELS, MOST_LEVELS, LevelLimit
from domain.settlement.role_reading import read_roles
from domain.settlement.scalars import read_amount, read_count, read_day, read_rate
from domain.settlement.scheme import CYCLES, Component, Scheme

SCHEME: Literal["scheme"] = "scheme"
MOST_COMPONENTS = 30
_KEYS = (
    "name",
    "version",
    "title",
    "active",
    "currency",
    "cycle",
    "counts",
    "from",
    "until",
    "payees",
    "levels",
    "rounding",
    "earns",
    "floor",
    "cap",
    "minimum",
    "hold-days",
    "clawback",
)
_NEEDED = ("name", "title", "cycle", "from", "earns")
_COUNTS: tuple[Literal["paid", "completed"], ...] = ("paid", "completed")


class ReadScheme(NamedTuple):
    """The scheme, None when something in it cannot be read."""

    scheme: Scheme | None
    remarks: list[Remark]


def read_scheme(document: Mapping[str, Any], *, level_limit: LevelLimit = LAW, is_stored: bool = False) -> ReadScheme:
    """The scheme of a document with the top key `scheme`. level_limit: how many levels this Tandem's settings allow;
    is_stored: whether it was taken in before, by what was right then."""
    remarks = Remarks(of_stored=is_stored)
    data = document.get(SCHEME)
    root = child("", SCHEME)
    if not isinstance(data, Mapping):
        remarks.error("bad-resource", root, Text("scheme 下面要写方案", "`scheme` needs a scheme below it"))
        return ReadScheme(None, remarks.found)
    remarks.unknown_keys(data, _KEYS, root)
    if missing := [key for key in _NEEDED if data.get(key) is None]:
        text = Text(f"还要写：{listed(missing)}", f"Missing: {listed(missing)}")
        remarks.error("missing-key", root, text, of_key=True)
    scheme = _Reader(data, root, remarks).scheme(level_limit)
    return ReadScheme(None if remarks.has_errors else scheme, remarks.found)


def check_scheme(document: Mapping[str, Any], level_limit: LevelLimit = LAW) -> list[Remark]:
    """Everything there is to say about a document with the top key `scheme`, but for what its model checks."""
    return read_scheme(document, level_limit=level_limit).remarks


def scheme_of(properties: Mapping[str, Any]) -> Scheme:
    """The scheme of a stored version's properties. Raises RuntimeProblem when this Tandem cannot read it.

    Whatever is allowed now: it was checked when it was uploaded, and what was released stays in force.
    """
    given = {key: value for key, value in properties.items() if value is not None}
    scheme, remarks = read_scheme({SCHEME: given}, level_limit=ANY_LEVELS, is_stored=True)
    if scheme is None:
        first = next(each for each in remarks if each.severity == "error")
        name, version = properties.get("name"), properties.get("version")
        raise RuntimeProblem(
            Text(
                f"结算方案 {name} {version} 无法读取：{first.message.zh}",
                f"The scheme {name} {version} cannot be read: {first.message.en}",
            )
        )
    return scheme


class _Reader:
    def __init__(self, data: Mapping[str, Any], root: str, remarks: Remarks) -> None:
        self._data = data
        self._root = root
        self._remarks = remarks

    def scheme(self, level_limit: LevelLimit) -> Scheme:
        """What can be read of it."""
        currency = self._currency()
        start, end = self._day("from"), self._day("until")
        if start is not None and end is not None and start >= end:
            self._error("bad-days", "until", Text("until 要晚于 from", "`until` has to be after `from`"))
        levels = self._levels(level_limit)
        payees = self._section("payees", ("roles",))
        roles = read_roles(payees.get("roles"), (), child(self._at("payees"), "roles"), self._remarks)
        rounding = self._section("rounding", ("rule", "grain"))
        clawback = self._section("clawback", ("instalments", "keep"))
        title = self._data.get("title")
        said = title.get("zh") or next(iter(title.values()), "") if isinstance(title, Mapping) else title
        floor, cap = self._amount("floor", currency), self._amount("cap", currency)
        if floor is not None and cap is not None and floor > cap:
            self._error("floor-above-cap", "floor", Text("保底 floor 高于封顶 cap", "The floor is above the cap"))
        scheme = Scheme(
            name=str(self._data.get("name")),
            version=str(self._data.get("version", "1.0.0")),
            title=str(said),
            currency=currency,
            cycle=self._choice("cycle", CYCLES, "month"),
            counts=self._choice("counts", _COUNTS, "completed"),
            start=start or date.min,
            end=end,
            roles=roles,
            levels=levels,
            rounding=self._rule(rounding),
            grain=self._grain(rounding, currency),
            floor=floor,
            cap=cap,
            minimum=self._amount("minimum", currency) or 0,
            hold_days=self._count("hold-days", 0, 0, 366),
            instalments=self._of(clawback, "instalments"),
            keep=self._keep(clawback),
            active=self._active(),
        )
        return replace(scheme, components=self._components(scheme))

    def _components(self, scheme: Scheme) -> tuple[Component, ...]:
        data, place = self._data.get("earns"), self._at("earns")
        if data is None:
            return ()
        if not isinstance(data, list) or not 0 < len(data) <= MOST_COMPONENTS:
            text = Text(f"earns 下面写 1 到 {MOST_COMPONENTS} 项收入", f"`earns` has 1 to {MOST_COMPONENTS} components")
            self._remarks.error("bad-earns", place, text)
            return ()
        read: dict[str, Component] = {}
        unread: set[str] = set()
        for number, each in enumerate(data):
            around = Surroundings(scheme.currency, scheme.roles, scheme.levels, read, unread)
            component = read_component(each, around, child(place, number), self._remarks)
            if component is not None:
                read[component.name] = component
            elif isinstance(each, Mapping):
                unread.add(str(each.get("name")))
        if read and all(each.deducts for each in read.values()):
            text = Text("只有扣款，没有收入", "There are deductions only, and nothing is earned")
            self._remarks.error("never-earns", place, text)
        return tuple(read.values())

    def _levels(self, level_limit: LevelLimit) -> int:
        place = self._at("levels")
        levels = read_count(self._data.get("levels", LEGAL_LEVELS), place, self._remarks, least=1, most=MOST_LEVELS)
        if levels is not None and levels > level_limit.most:
            self._remarks.error("too-many-levels", place, level_limit.refusal())
        return levels or LEGAL_LEVELS

    def _currency(self) -> str:
        currency = self._data.get("currency", HOME_CURRENCY)
        if currency != HOME_CURRENCY:
            text = Text(
                f"结算方案的币种只能是 {HOME_CURRENCY}：外币订单按付款日汇率折算后计入",
                f"A scheme settles in {HOME_CURRENCY}; orders in other currencies count by the rate of their day",
            )
            self._error("bad-currency", "currency", text)
        return HOME_CURRENCY

    def _active(self) -> bool:
        active = self._data.get("active", True)
        if not isinstance(active, bool):
            self._error("bad-value", "active", Text("这里要写 true 或 false", "This is true or false"))
        return active is not False

    def _rule(self, rounding: Mapping[str, Any]) -> Rounding:
        given = rounding.get("rule", "half-away")
        found = next((rule for rule in ROUNDINGS if rule == given), None)
        if found is None:
            place = child(self._at("rounding"), "rule")
            text = Text(f"取整规则可用：{listed(ROUNDINGS)}", f"The rules of rounding are {listed(ROUNDINGS)}")
            self._remarks.error("bad-rounding", place, text)
        return found or "half-away"

    def _grain(self, rounding: Mapping[str, Any], currency: str) -> int:
        if "grain" not in rounding:
            return 1
        place = child(self._at("rounding"), "grain")
        grain = read_amount(rounding["grain"], currency, place, self._remarks)
        if grain == 0:
            text = Text("取整单位要大于零，例如 '0.01' 或 '1.00'", "The grain is more than nothing: '0.01' or '1.00'")
            self._remarks.error("bad-rounding", place, text)
        return grain or 1

    def _keep(self, clawback: Mapping[str, Any]) -> int:
        place = child(self._at("clawback"), "keep")
        return read_rate(clawback["keep"], place, self._remarks) or 0 if "keep" in clawback else 0

    def _of(self, section: Mapping[str, Any], key: str) -> int:
        place = child(self._at("clawback"), key)
        return read_count(section[key], place, self._remarks, least=1, most=24) or 1 if key in section else 1

    def _choice(self, key: str, known: tuple[Any, ...], default: Any) -> Any:
        given = self._data.get(key, default)
        if given not in known:
            self._error("bad-choice", key, Text(f"可用：{listed(known)}", f"There are: {listed(known)}"))
            return default
        return given

    def _count(self, key: str, default: int, least: int, most: int) -> int:
        if key not in self._data:
            return default
        return read_count(self._data[key], self._at(key), self._remarks, least=least, most=most) or default

    def _amount(self, key: str, currency: str) -> int | None:
        return read_amount(self._data[key], currency, self._at(key), self._remarks) if key in self._data else None

    def _day(self, key: str) -> date | None:
        given = self._data.get(key)
        return None if given is None else read_day(given, self._at(key), self._remarks)

    def _section(self, key: str, known: tuple[str, ...]) -> Mapping[str, Any]:
        given = self._data.get(key)
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._error(
                "bad-value", key, Text(f"{key} 下面要写 {listed(known)}", f"`{key}` has {listed(known)} below it")
            )
            return {}
        self._remarks.unknown_keys(given, known, self._at(key))
        return given

    def _at(self, key: str) -> str:
        return child(self._root, key)

    def _error(self, code: str, key: str, text: Text) -> None:
        self._remarks.error(code, self._at(key), text)
