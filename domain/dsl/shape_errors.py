"""One error of the models as a sentence for the author: what is wrong at which place, and what to write instead."""

import re
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from domain.dsl.annotations import branch_named, inner, is_item, is_union, keys_of, literals, tagged, unwrapped, way_to
from domain.dsl.findings import Finding, child, did_you_mean, listed, value_at
from domain.dsl.model import FIELDS_TAG, TASK_KEYWORDS, CallTask, DurationFields, TaskBase
from domain.dsl.source import SourceDocument
from domain.problems import Text

_COLON_SLIP = re.compile(r"^[\w.-]{1,40}(：|:(?=[^\s/]))")

_KINDS: dict[str, Text] = {
    "string_type": Text("文字", "a text"),
    "int_type": Text("整数", "a whole number"),
    "int_from_float": Text("整数", "a whole number"),
    "int_parsing": Text("整数", "a whole number"),
    "float_type": Text("数字", "a number"),
    "float_parsing": Text("数字", "a number"),
    "bool_type": Text("true 或 false", "true or false"),
    "bool_parsing": Text("true 或 false", "true or false"),
    "dict_type": Text("“键: 值”", "“key: value” pairs"),
    "model_type": Text("“键: 值”", "“key: value” pairs"),
    "model_attributes_type": Text("“键: 值”", "“key: value” pairs"),
    "tuple_type": Text("列表（每项以“- ”开头）", "a list, each item starting with “- ”"),
    "list_type": Text("列表（每项以“- ”开头）", "a list, each item starting with “- ”"),
    "union_tag_not_found": Text("文字或“键: 值”", "a text or “key: value” pairs"),
    "none_required": Text("空", "nothing"),
}

_ITEM_KEYS = frozenset({"with", "if", "then", "when", "catch", "export", "output", "input", "timeout", "extend"})

_PATTERN_WORDS = {
    "method": Text(
        "请写 get、post、put、patch、delete、head、options 之一",
        "write get, post, put, patch, delete, head or options",
    ),
}

_EXAMPLES = {
    "timeout": "timeout: { after: PT1H }",
    "for": "for: { each: order, in: .orders }",
    "catch": "catch: { errors: { with: { status: 404 } }, do: [ … ] }",
    "retry": "retry: { delay: PT5S, limit: { attempt: { count: 3 } } }",
    "listen": "listen: { to: { one: { with: { type: tandem.order.paid } } } }",
    "emit": "emit: { event: { with: { source: https://…, type: … } } }",
    "raise": "raise: { error: { type: https://…, status: 400 } }",
    "run": "run: { workflow: { namespace: …, name: …, version: latest } }",
    "fork": "fork: { branches: [ … ] }",
    "events": "events: { paid: { type: tandem.order.paid } }",
}

MISSING_HINTS: dict[str, Text] = {
    "document": Text("写明 dsl、namespace、name、version", "it names dsl, namespace, name and version"),
    "do": Text("要执行的任务列表", "the list of tasks"),
    "dsl": Text("固定写 '1.0.3'", "always '1.0.3'"),
    "version": Text("例如 '1.0.0'", "for example '1.0.0'"),
    "then": Text("命中后去哪个任务，或 continue / exit / end", "the task to go to, or continue / exit / end"),
    "catch": Text("说明要处理哪些错误", "it says which errors to handle"),
    "in": Text("要循环的列表，例如 .orders", "the list to go through, such as .orders"),
    "type": Text("事件或错误的类型", "the type of the event or error"),
}


class ShapeError:
    """One pydantic error, located in the author's data and among the models."""

    def __init__(self, details: ErrorDetails, pointer: str, model: type[BaseModel], document: SourceDocument) -> None:
        self.kind = details["type"]
        self.context = details.get("ctx", {})
        self.given = details["input"]
        self.words = details["msg"]
        self.document = document
        self.pointer = pointer
        self.owner: Any = model
        self.key = ""
        self.in_union = ""
        self.wanted: list[str] = []
        self._items: list[tuple[str, Any]] = []
        annotation: Any = model
        for part in details["loc"]:
            annotation = unwrapped(annotation)
            if is_item(annotation):
                self._items.append((self.pointer, value_at(document.data, self.pointer)))
            branch = tagged(annotation, part)
            if branch is not None:
                annotation = branch
                continue
            if is_union(annotation):
                self.in_union = self.pointer
                annotation = branch_named(annotation, part)
                continue
            self.owner, self.key = annotation, str(part)
            self.pointer = child(self.pointer, part)
            annotation = inner(annotation, part)
        annotation = unwrapped(annotation)
        if is_item(annotation):
            self._items.append((self.pointer, value_at(document.data, self.pointer)))
        self.annotation = annotation

    def misshapen_item(self) -> tuple[str, Finding] | None:
        """The pointer of a list item around this place that is not one named task (case, extension), and what it is."""
        for pointer, item in self._items:
            if isinstance(item, dict) and len(item) == 1:
                continue
            return pointer, self._item_finding(pointer, item)
        return None

    def finding(self) -> Finding | None:
        parent = self.pointer.rpartition("/")[0]
        match self.kind:
            case "missing":
                return self._missing(parent)
            case "extra_forbidden":
                return self._unknown_key()
            case "task_keyword":
                return self._no_keyword()
            case "too_short" | "too_long":
                return self._size()
            case "literal_error" | "enum":
                return self._choice()
            case "string_pattern_mismatch":
                return self._pattern()
            case "exactly_one":
                return self._exactly_one()
            case "nothing_given":
                keys = self.context.get("keys", "")
                return self._say(
                    "missing-key",
                    Text(f"至少要写其中一个：{keys}", f"Give at least one of: {keys}"),
                )
            case "until_without_any":
                return self._say(
                    "bad-value",
                    Text(
                        "until 只能和 any 一起使用，请把 one/all 改为 any，或删除 until",
                        "`until` goes only with `any`; change one/all to any, or remove until",
                    ),
                )
            case kind if kind in _KINDS:
                return self._wrong_type()
            case _:
                return self._other()

    def _say(self, code: str, message: Text, *, of_key: bool = False) -> Finding:
        return self.document.finding(code, "error", self.pointer, message, of_key=of_key)

    def _missing(self, parent: str) -> Finding:
        message = Text(f"缺少必填项“{self.key}”，请补上", f"The required key “{self.key}” is missing; add it")
        hint = MISSING_HINTS.get(self.key)
        if hint:
            message = Text(f"{message.zh}：{hint.zh}", f"{message.en}: {hint.en}")
        return self.document.finding("missing-key", "error", parent, message, of_key=True)

    def _unknown_key(self) -> Finding:
        known = keys_of(self.owner)
        extra_keyword = self.key in TASK_KEYWORDS and isinstance(self.owner, type) and issubclass(self.owner, TaskBase)
        if extra_keyword:
            return self._say(
                "two-keywords",
                Text(
                    f"一个任务只能做一件事：已经是 {self.owner.keyword}，不能再写 {self.key}。请拆成两个任务",
                    f"A task does one thing: this one is `{self.owner.keyword}` and cannot be `{self.key}` too. Make "
                    "two tasks of it",
                ),
                of_key=True,
            )
        near = did_you_mean(self.key, known)
        if not near.en and "/with" in self.pointer and self.key in keys_of(TaskBase):
            near = Text(
                f"{self.key} 属于任务本身，请减少缩进，与 with 对齐。",
                f" `{self.key}` belongs to the task: indent it less, level with `with`.",
            )
        elif not near.en and self.owner is CallTask:
            near = Text("调用的参数请写在 with 下面。", " Arguments of a call stand under `with`.")
        elif not near.en and (way := " → ".join(way_to(self.owner, self.key))):
            near = Text(f"它应该写在 {way} 下面一层。", f" It belongs one level deeper, under {way}.")
        return self._say(
            "unknown-key",
            Text(
                f"不认识“{self.key}”。{near.zh}这里可以写：{listed(known)}",
                f"Unknown key “{self.key}”.{near.en} Possible here: {listed(known)}",
            ),
            of_key=True,
        )

    def _no_keyword(self) -> Finding:
        if not isinstance(self.given, dict):
            return self._wrong_type()
        near = next((near for key in self.given if (near := did_you_mean(key, TASK_KEYWORDS)).en), Text("", ""))
        return self._say(
            "no-task-keyword",
            Text(
                f"任务“{self.key}”没有说要做什么。{near.zh}请写其中一个：{', '.join(TASK_KEYWORDS)}",
                f"The task “{self.key}” does not say what to do.{near.en} Write one of: {', '.join(TASK_KEYWORDS)}",
            ),
            of_key=True,
        )

    def _size(self) -> Finding | None:
        if self.kind == "too_short" and self.given:
            return None  # its items were refused, and said so themselves
        limit = self.context.get("min_length", self.context.get("max_length"))
        if self.kind == "too_short":
            return self._say(
                "bad-value", Text(f"至少需要 {limit} 项，现在是空的", f"At least {limit} is needed; this is empty")
            )
        return self._say("bad-value", Text(f"最多 {limit} 项，请删减", f"At most {limit}; remove some"))

    def _choice(self) -> Finding:
        choices = literals(self.annotation)
        near = did_you_mean(str(self.given), choices)
        return self._say(
            "bad-value",
            Text(
                f"“{_shown(self.given)}”不可用。{near.zh}可以写：{listed(choices, most=20)}",
                f"“{_shown(self.given)}” is not allowed here.{near.en} Possible: {listed(choices, most=20)}",
            ),
        )

    def _pattern(self) -> Finding:
        if self.key in ("dsl", "version"):
            return self._say(
                "bad-value",
                Text(
                    f"“{self.given}”不是语义化版本号，请写三段数字，例如 '1.0.0'",
                    f"“{self.given}” is no semantic version; write three numbers such as '1.0.0'",
                ),
            )
        if self.key not in ("namespace", "name"):
            words = _PATTERN_WORDS.get(self.key, Text("格式不正确", "it has the wrong form"))
            return self._say(
                "bad-value",
                Text(
                    f"“{self.given}”不能用作 {self.key}：{words.zh}",
                    f"“{self.given}” cannot be a {self.key}: {words.en}",
                ),
            )
        return self._say(
            "bad-value",
            Text(
                f"“{self.given}”不能用作 {self.key}：只能用英文字母、数字和中间的连字符“-”，最多 63 个字符",
                f"“{self.given}” cannot be a {self.key}: only letters, digits and inner hyphens, at most 63 characters",
            ),
        )

    def _exactly_one(self) -> Finding:
        keys = self.context.get("keys", "")
        if self.context.get("given"):
            message = Text(f"这里只能写其中一个，请删除其余的：{keys}", f"Only one of these may be given: {keys}")
        else:
            message = Text(f"这里必须写其中一个：{keys}", f"One of these is needed here: {keys}")
        return self._say("exactly-one", message, of_key=True)

    def _wrong_type(self) -> Finding:
        kinds = [_KINDS[kind] for kind in (self.wanted or [self.kind]) if kind in _KINDS] or [_KINDS["dict_type"]]
        wanted = Text("或".join(kind.zh for kind in kinds), " or ".join(kind.en for kind in kinds))
        slip = _COLON_SLIP.match(self.given) if isinstance(self.given, str) and self.kind != "int_type" else None
        if slip is not None and self.kind not in ("string_type", "bool_type", "literal_error"):
            return self._colon_slip(slip)
        subject = self._subject()
        if tagged(self.annotation, FIELDS_TAG) is DurationFields:
            wanted = Text("时长（如 PT15M，或 minutes: 15）", "a duration such as PT15M, or minutes: 15")
        message = Text(
            f"{subject.zh}应该是{wanted.zh}，现在是{kind_of(self.given).zh}",
            f"{subject.en} should be {wanted.en}; this is {kind_of(self.given).en}",
        )
        if self.kind == "string_type" and len(kinds) == 1 and isinstance(self.given, int | float | bool):
            message = Text(f"{message.zh}。请加引号", f"{message.en}. Put quotes around it")
        elif self.given is None:
            message = Text(
                f"{subject.zh}没有内容，应该是{wanted.zh}。请补上，或检查下一行的缩进",
                f"{subject.en} is empty and should be {wanted.en}. Fill it in, or check the indentation below",
            )
        elif self.key in _EXAMPLES:
            message = Text(
                f"{message.zh}。例如 {_EXAMPLES[self.key]}", f"{message.en}. For example: {_EXAMPLES[self.key]}"
            )
        elif self.kind in ("tuple_type", "list_type") and isinstance(self.given, dict):
            message = Text(f"{message.zh}。请在每项前加“- ”", f"{message.en}. Put “- ” before each item")
        return self._say("wrong-type", message, of_key=self.given is None)

    def _subject(self) -> Text:
        if not self.key:
            return Text("整个文件", "The whole file")
        if self.key.isdigit():
            return Text(f"第 {int(self.key) + 1} 项", f"Item {int(self.key) + 1}")
        return Text(f"“{self.key}”", f"“{self.key}”")

    def _colon_slip(self, slip: re.Match[str]) -> Finding:
        if slip[1] == "：":
            return self._say(
                "fullwidth-colon",
                Text(
                    "这里用了中文冒号“：”，请换成英文冒号加空格“: ”",
                    "This has the full-width colon “：”; use a plain colon and a space “: ”",
                ),
            )
        return self._say("missing-space", Text("冒号后面缺少一个空格", "A space is missing after the colon"))

    def _other(self) -> Finding:
        if self.kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
            limit = self.context.get("ge", self.context.get("gt", self.context.get("le", self.context.get("lt"))))
            upward = self.kind.startswith("greater")
            strict = not self.kind.endswith("equal")
            message = Text(
                f"“{self.key}”必须{'大' if upward else '小'}于{'' if strict else '等于'} {limit}，现在是 {self.given}",
                f"“{self.key}” must be {'more' if upward else 'less'} than {'' if strict else 'or equal to '}{limit}; "
                f"it is {self.given}",
            )
            return self._say("bad-value", message)
        if self.kind in ("string_too_short", "string_too_long"):
            limit = self.context.get("min_length", self.context.get("max_length"))
            longer = self.kind == "string_too_long"
            message = Text(
                f"“{self.key}”{'最多' if longer else '至少'} {limit} 个字符",
                f"“{self.key}” takes at {'most' if longer else 'least'} {limit} characters",
            )
            return self._say("bad-value", message)
        words = self.words.removeprefix("Value error, ")
        zh, _, en = words.partition(" · ")
        return self._say("bad-value", Text(f"“{self.key}”不正确：{zh}", f"“{self.key}” is wrong: {en or zh}"))

    def _item_finding(self, pointer: str, item: Any) -> Finding:
        find = self.document.finding
        if not isinstance(item, dict):
            slip = _COLON_SLIP.match(item) if isinstance(item, str) else None
            if slip is not None:
                self.pointer = pointer
                return self._colon_slip(slip)
            return find(
                "wrong-type",
                "error",
                pointer,
                Text(
                    f"列表的每一项要写成“- 名字:”加缩进的内容，这里是{kind_of(item).zh}",
                    f"Each item is “- name:” with its content indented below; this is {kind_of(item).en}",
                ),
            )
        names = list(item)
        if not names:
            return find(
                "wrong-type",
                "error",
                pointer,
                Text("这一项是空的，请删除或补上名字", "This item is empty; remove it or give it a name"),
            )
        if item[names[0]] is None or any(name in TASK_KEYWORDS or name in _ITEM_KEYS for name in names[1:]):
            stray = names[1:]
            return find(
                "task-indentation",
                "error",
                child(pointer, stray[0] if stray else names[0]),
                Text(
                    f"{listed(stray)} 应该属于“{names[0]}”，请再向右缩进 2 格",
                    f"{listed(stray)} should belong to “{names[0]}”; indent by two more spaces",
                ),
                of_key=True,
            )
        return find(
            "two-tasks-in-one-item",
            "error",
            child(pointer, names[1]),
            Text(
                f"一个列表项只能有一个名字：请在“{names[1]}”前加“- ”，让它成为单独的一项",
                f"A list item has one name: put “- ” before “{names[1]}” to make it an item of its own",
            ),
            of_key=True,
        )


def kind_of(value: Any) -> Text:
    """What a value is, in words."""
    match value:
        case None:
            return Text("空", "empty")
        case bool():
            return Text(f"布尔值 {str(value).lower()}", f"the boolean {str(value).lower()}")
        case int() | float():
            return Text(f"数字 {value}", f"the number {value}")
        case str():
            return Text(f"文字“{_shown(value)}”", f"the text “{_shown(value)}”")
        case list() | tuple():
            return Text("列表", "a list")
        case _:
            return Text("“键: 值”", "“key: value” pairs")


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:40] + "…"
