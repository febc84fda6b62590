"""Event types: does anybody publish what the flow waits for?"""

import re
from collections.abc import Iterator
from typing import Any

from domain.dsl.expressions import is_expression
from domain.dsl.findings import child, did_you_mean
from domain.dsl.lint.outline import as_dict, as_list
from domain.dsl.lint.references import authentication_policies
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import Text

_URI = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://.")


@rule("unknown-event-type", "warning")
def unknown_event_type(lint: Lint) -> Iterator[Remark]:
    for pointer, name in awaited_types(lint):
        if name not in lint.event_types:
            near = did_you_mean(name, lint.event_types)
            yield Remark(
                pointer,
                Text(
                    f"没有已知的事件类型“{name}”，可能永远等不到。{near.zh}若由外部系统推送则可忽略",
                    f"No event type “{name}” is known; it may never come.{near.en} Ignore this if another system sends "
                    "it",
                ),
            )


@rule("misspelt-event-type", "warning")
def misspelt_event_type(lint: Lint) -> Iterator[Remark]:
    known = lint.event_types - lint.outline.emitted_types
    for task in lint.outline.tasks:
        properties = as_dict(as_dict(as_dict(task.data.get("emit")).get("event")).get("with"))
        name = properties.get("type")
        if isinstance(name, str) and name.startswith("tandem.") and name not in known:
            near = did_you_mean(name, known)
            yield Remark(
                task.at("emit", "event", "with", "type"),
                Text(
                    f"“tandem.”开头的事件类型由平台定义，其中没有“{name}”。{near.zh}自定义事件请换一个前缀",
                    f"Types that start with “tandem.” are the platform's, and “{name}” is none of them.{near.en} "
                    "Choose another prefix for an event of your own",
                ),
            )


@rule("not-a-uri", "error")
def not_a_uri(lint: Lint) -> Iterator[Remark]:
    """Where the standard's schema wants an absolute URI; other runtimes would refuse the definition."""
    for pointer, text in _uris(lint):
        if not _URI.match(text) and not is_expression(text):
            yield Remark(
                pointer,
                Text(
                    f"标准要求这里是完整的 URI，“{text}”不是。例如 https://example.com/flows/refund",
                    f"The standard wants an absolute URI here, and “{text}” is none. Write one such as "
                    "https://example.com/flows/refund",
                ),
            )


def _uris(lint: Lint) -> Iterator[tuple[str, str]]:
    holders: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        (child(pointer, "with"), as_dict(wanted.get("with")), ("source", "dataschema"))
        for pointer, wanted in event_filters(lint)
    ]
    for name, error in lint.outline.part("errors").items():
        holders.append((child("/use/errors", name), as_dict(error), ("type",)))
    for task in lint.outline.tasks:
        event = as_dict(as_dict(task.data.get("emit")).get("event"))
        holders.append((task.at("emit", "event", "with"), as_dict(event.get("with")), ("source", "dataschema")))
        holders.append((task.at("raise", "error"), as_dict(as_dict(task.data.get("raise")).get("error")), ("type",)))
    for pointer, policy in authentication_policies(lint.outline):
        holders += [
            (child(pointer, scheme), as_dict(policy.get(scheme)), ("authority",)) for scheme in ("oauth2", "oidc")
        ]
    for pointer, holder, keys in holders:
        for key in keys:
            if isinstance(holder.get(key), str):
                yield child(pointer, key), holder[key]


def event_filters(lint: Lint) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(pointer, filter)` of every event filter of `listen` and `schedule.on`."""
    schedule = as_dict(lint.outline.data.get("schedule"))
    yield from _filters("/schedule/on", schedule.get("on"))
    for task in lint.outline.tasks:
        if task.keyword == "listen":
            yield from _filters(task.at("listen", "to"), as_dict(task.data["listen"]).get("to"))


def _filters(pointer: str, consumption: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    strategy = as_dict(consumption)
    if isinstance(strategy.get("one"), dict):
        yield child(pointer, "one"), strategy["one"]
    for key in ("all", "any"):
        for index, wanted in enumerate(as_list(strategy.get(key))):
            yield child(pointer, key, index), as_dict(wanted)
    if isinstance(strategy.get("until"), dict):
        yield from _filters(child(pointer, "until"), strategy["until"])


def awaited_types(lint: Lint) -> Iterator[tuple[str, str]]:
    """`(pointer, type)` of every event that the flow starts by or waits for, where the type is written out."""
    for pointer, wanted in event_filters(lint):
        name = as_dict(wanted.get("with")).get("type")
        if isinstance(name, str) and "${" not in name:
            yield child(pointer, "with", "type"), name
    for task, call in lint.outline.calls():
        if call.partition(":")[0] == "wait-for":
            for key, event in as_dict(as_dict(task.data.get("with")).get("events")).items():
                name = as_dict(event).get("type")
                if isinstance(name, str) and "${" not in name:
                    yield task.at("with", "events", key, "type"), name
