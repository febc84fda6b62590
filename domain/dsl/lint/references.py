"""What a definition names under `use`: is it there, and does anybody use it?"""

from collections.abc import Iterator
from typing import Any

from domain.dsl.findings import child, closest, did_you_mean, listed
from domain.dsl.lint.outline import Outline, as_dict, as_list
from domain.dsl.lint.registry import Lint, Remark, rule
from domain.problems import Text

_SCHEMES = ("basic", "bearer", "digest", "oauth2", "oidc")


@rule("unknown-retry", "error")
def unknown_retry(lint: Lint) -> Iterator[Remark]:
    for pointer, name in _retries(lint.outline):
        yield from _unknown(lint, "retries", pointer, name)


@rule("unknown-error", "error")
def unknown_error(lint: Lint) -> Iterator[Remark]:
    for pointer, name in _errors(lint.outline):
        yield from _unknown(lint, "errors", pointer, name)


@rule("unknown-timeout", "error")
def unknown_timeout(lint: Lint) -> Iterator[Remark]:
    for pointer, name in _timeouts(lint.outline):
        if name not in lint.outline.part("timeouts") and name.lstrip().startswith(("P", "${")):
            yield Remark(
                pointer,
                Text(
                    f"timeout 直接写文字时表示 use.timeouts 里的名字。时长请写成 timeout: {{ after: {name} }}",
                    f"A text as timeout names one under use.timeouts. Write a duration as timeout: {{ after: {name} }}",
                ),
            )
        else:
            yield from _unknown(lint, "timeouts", pointer, name)


@rule("unknown-authentication", "error")
def unknown_authentication(lint: Lint) -> Iterator[Remark]:
    for pointer, name in _authentications(lint.outline):
        yield from _unknown(lint, "authentications", pointer, name)


@rule("unused-part", "info")
def unused_part(lint: Lint) -> Iterator[Remark]:
    outline = lint.outline
    used = {
        "retries": {name for _, name in _retries(outline)},
        "errors": {name for _, name in _errors(outline)},
        "timeouts": {name for _, name in _timeouts(outline)},
        "authentications": {name for _, name in _authentications(outline)},
        "functions": {name for _, name in outline.calls()},
    }
    for part, names in used.items():
        known = outline.part(part)
        misspelt = {closest(name, known) for name in names if name not in known}
        for name in known:
            if name not in names and name not in misspelt:
                yield Remark(
                    child("/use", part, name),
                    Text(
                        f"use.{part} 里的“{name}”没有被用到，可以删除",
                        f"“{name}” under use.{part} is not used and can be removed",
                    ),
                    of_key=True,
                )
    text = lint.document.text
    for index, secret in enumerate(as_list(outline.use.get("secrets"))):
        if isinstance(secret, str) and text.count(secret) < 2:
            yield Remark(
                child("/use/secrets", index),
                Text(f"密钥“{secret}”没有被用到，可以删除", f"The secret “{secret}” is not used and can be removed"),
            )


def _unknown(lint: Lint, part: str, pointer: str, name: str) -> Iterator[Remark]:
    known = lint.outline.part(part)
    if name in known:
        return
    near = did_you_mean(name, known)
    there = (
        Text(f"已有：{listed(known)}", f"There are: {listed(known)}") if known else Text("目前是空的", "It is empty")
    )
    yield Remark(
        pointer,
        Text(
            f"use.{part} 中没有“{name}”。{near.zh}{there.zh}",
            f"There is no “{name}” under use.{part}.{near.en} {there.en}",
        ),
    )


def _retries(outline: Outline) -> Iterator[tuple[str, str]]:
    for task in outline.tasks:
        name = as_dict(task.data.get("catch")).get("retry")
        if task.keyword == "try" and isinstance(name, str):
            yield task.at("catch", "retry"), name


def _errors(outline: Outline) -> Iterator[tuple[str, str]]:
    for task in outline.tasks:
        name = as_dict(task.data.get("raise")).get("error")
        if task.keyword == "raise" and isinstance(name, str):
            yield task.at("raise", "error"), name


def _timeouts(outline: Outline) -> Iterator[tuple[str, str]]:
    if isinstance(outline.data.get("timeout"), str):
        yield "/timeout", outline.data["timeout"]
    for task in outline.tasks:
        if isinstance(task.data.get("timeout"), str):
            yield task.at("timeout"), task.data["timeout"]


def authentication_policies(outline: Outline) -> Iterator[tuple[str, dict[str, Any]]]:
    """`(pointer, policy)` of every authentication, in calls, with schemas, and under `use`."""
    for name, policy in outline.part("authentications").items():
        yield child("/use/authentications", name), as_dict(policy)
    for pointer, holder in [("", outline.data), *((task.pointer, task.data) for task in outline.tasks)]:
        for key in ("input", "output", "export"):
            resource = as_dict(as_dict(as_dict(holder.get(key)).get("schema")).get("resource"))
            place = child(pointer, key, "schema", "resource", "endpoint", "authentication")
            yield place, as_dict(as_dict(resource.get("endpoint")).get("authentication"))
    for task, call in outline.calls():
        if call not in ("http", "openapi"):
            continue
        arguments = as_dict(task.data.get("with"))
        endpoint = as_dict(arguments.get("endpoint"))
        document = as_dict(as_dict(arguments.get("document")).get("endpoint"))
        yield task.at("with", "endpoint", "authentication"), as_dict(endpoint.get("authentication"))
        yield task.at("with", "document", "endpoint", "authentication"), as_dict(document.get("authentication"))
        yield task.at("with", "authentication"), as_dict(arguments.get("authentication"))


def _authentications(outline: Outline) -> Iterator[tuple[str, str]]:
    for pointer, policy in authentication_policies(outline):
        if isinstance(policy.get("use"), str):
            yield child(pointer, "use"), policy["use"]


def secret_references(outline: Outline) -> Iterator[tuple[str, str]]:
    """`(pointer, name)` of secrets that authentications take their credentials from."""
    for pointer, policy in authentication_policies(outline):
        for scheme in _SCHEMES:
            name = as_dict(policy.get(scheme)).get("use")
            if isinstance(name, str):
                yield child(pointer, scheme, "use"), name
