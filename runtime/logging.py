"""One line of JSON for each event, with the run and the customer it belongs to, and without secrets.

What code inside `log_context(run=…, customer=…)` logs carries these ids, through every await; libraries that log with
the standard module come out in the same shape.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO

import structlog
from pydantic import SecretBytes, SecretStr
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.privacy import masked_text

Level = Literal["debug", "info", "warning", "error"]

REDACTED = "***"
_DEEPEST = 6
_SECRET_NAME = re.compile(
    r"(?i)(secret|password|passwd|passphrase|pepper|token|authorization|cookie|credential|signature"
    r"|(?:api|aes|access|private|encryption)_?key|(?:^|_)keys$|id_card|phone|mobile)"
)
# These carry a secret's name and are none: how long, how many, which.
_NOT_SECRET = re.compile(r"(?i)(_id|_ids|_count|_s|_at|_expires|_type|_name|_kind)$")
_SECRET_VALUES = (
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=:-]{6,}"), r"\1 " + REDACTED),
    (re.compile(r"(?i)\b((?:\w*_)?(?:token|secret)|corpsecret|password|sign)=[^&\s\"']+"), r"\1=" + REDACTED),
    (re.compile(r"(\w+://[^/\s:@]*):[^/\s@]+@"), r"\1:" + REDACTED + "@"),
)


def configure_logging(
    service: str,
    level: Level = "info",
    form: Literal["json", "console"] = "json",
    stream: TextIO | None = None,
) -> None:
    """From now on this process logs to the stream, else to its standard error: as JSON, or readable for a person.

    :param service: which of our processes it is; a member of every line.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _Labels(service),
    ]
    # Tracebacks without the local variables, which hold what `redact` cannot recognise, and before it looks.
    renderer: list[Processor]
    if form == "json":
        tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
        renderer = [tracebacks, redact, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        plain = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        renderer = [structlog.processors.format_exc_info, redact, plain]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Each of these says at info what our own lines say already, with the whole address.
    for noisy in ("httpx", "httpcore", "uvicorn.access", "alembic.runtime.plugins"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # uvicorn would print its lines a second time in its own shape.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True


def log_context(**ids: str | None) -> AbstractContextManager[None]:
    """A `with` in which every line carries these ids; those that are None are left out.

    The names in use: `run`, `customer`, `flow`, `task`, `request`.
    """
    present = {name: value for name, value in ids.items() if value is not None}
    return structlog.contextvars.bound_contextvars(**present)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The line without what must not be read: values under telling names, and tokens, passwords and personal numbers
    inside of sentences."""
    return {name: _clean(name, value, 0) for name, value in event.items()}


def _clean(name: str, value: Any, depth: int) -> Any:
    if isinstance(value, SecretStr | SecretBytes):
        return REDACTED
    if isinstance(value, str | bytes | int | float | Mapping) and not isinstance(value, bool) and _is_secret(name):
        return REDACTED
    if isinstance(value, str):
        for pattern, replacement in _SECRET_VALUES:
            value = pattern.sub(replacement, value)
        return masked_text(value)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {key: _clean(str(key), inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(name, inner, depth + 1) for inner in value]
    return value


def _is_secret(name: str) -> bool:
    return bool(_SECRET_NAME.search(name)) and not _NOT_SECRET.search(name)


class _Labels:
    """Adds the service's name, and takes from Temporal's own log lines the ids that ours use."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = self._service
        record = event.get("_record")
        for attribute in ("temporal_workflow", "temporal_activity"):
            details = getattr(record, attribute, None)
            if isinstance(details, Mapping):
                event.setdefault("run", details.get("workflow_id"))
                event.setdefault("flow", details.get("workflow_type"))
        return event


class LogContextInterceptor(Interceptor):
    """Lets what an activity logs carry the run, the flow and the activity it works for.

    The parameters of its methods are named by temporalio.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - temporalio's name
        return _LogContextOfActivity(next)


class _LogContextOfActivity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - temporalio's name
        info = activity.info()
        first = input.args[0] if input.args else None
        with log_context(
            run=info.workflow_id, flow=info.workflow_type, activity=info.activity_type, customer=_customer(first)
        ):
            return await super().execute_activity(input)


def _customer(argument: Any) -> str | None:
    """The customer an activity's input names, as a member or as the subject `customer:…`."""
    for member in ("customer", "subject"):
        value = argument.get(member) if isinstance(argument, Mapping) else getattr(argument, member, None)
        if isinstance(value, str) and (member == "customer" or value.startswith("customer:")):
            return value.removeprefix("customer:")
    return None
