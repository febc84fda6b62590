import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest
import structlog
from pydantic import SecretStr
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runtime.logging import LogContextInterceptor, configure_logging, log_context

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged from here on, if the test configures it so; as before afterwards."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def lines(written: io.StringIO) -> Lines:
    configure_logging("test", stream=written)
    return lambda: [json.loads(line) for line in written.getvalue().splitlines()]


async def test_a_line_carries_the_run_and_the_customer_through_awaits(lines: Lines) -> None:
    async def deeper() -> None:
        await asyncio.sleep(0)
        structlog.get_logger("deep").info("refunded", amount_minor=5000)

    with log_context(run="refund/1", customer="42", task=None):
        await asyncio.gather(deeper(), deeper())
    structlog.get_logger("deep").info("after")
    first, second, after = lines()
    assert first["event"] == "refunded"
    assert (first["run"], first["customer"], first["level"], first["service"]) == ("refund/1", "42", "info", "test")
    assert "task" not in first
    assert second["run"] == "refund/1"
    assert "run" not in after


def test_libraries_come_out_in_the_same_shape(lines: Lines) -> None:
    logging.getLogger("some.library").warning("slow answer of %s", "the platform")
    (line,) = lines()
    assert line["event"] == "slow answer of the platform"
    assert (line["logger"], line["level"], line["service"]) == ("some.library", "warning", "test")


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hush-hush"},
        {"access_token": "hush-hush"},
        {"settings": {"payload_keys": "hush-hush"}},
        {"accounts": [{"app_secret": "hush-hush"}]},
        {"value": SecretStr("hush-hush")},
        {"headers": {"Authorization": "hush-hush"}},
        {"sentence": "GET /gettoken?corpid=1&corpsecret=hush-hush failed"},
        {"sentence": "Authorization: Bearer hush-hush"},
        {"address": "postgresql://tandem:hush-hush@db/tandem"},
        {"deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": "hush-hush"}}}}}}}},
    ],
)
def test_secrets_do_not_get_through(lines: Lines, fields: dict[str, Any]) -> None:
    structlog.get_logger().info("called", **fields)
    assert "hush-hush" not in json.dumps(lines())


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_variables_of_a_failure_do_not_get_through(written: io.StringIO, form: Literal["json", "console"]) -> None:
    def fail() -> None:
        opened = "hush-hush"
        raise ValueError(f"GET /gettoken?corpsecret={opened}")

    configure_logging("test", form=form, stream=written)
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("failed")
    shown = written.getvalue()
    assert "ValueError" in shown
    assert "hush-hush" not in shown


def test_what_is_no_secret_stays_readable(lines: Lines) -> None:
    structlog.get_logger().info("issued", token_id="t1", token_count=3, order="1001", phone_type="work")
    (line,) = lines()
    assert (line["token_id"], line["token_count"], line["order"], line["phone_type"]) == ("t1", 3, "1001", "work")


def test_phone_numbers_are_masked(lines: Lines) -> None:
    structlog.get_logger().info("call 13812345678 about order 202611230000138123456789")
    (line,) = lines()
    assert line["event"] == "call 138****5678 about order 202611230000138123456789"


@activity.defn(name="refund")
async def refund(arguments: dict[str, str]) -> None:
    structlog.get_logger().info("refunding", order=arguments["order"])


@workflow.defn(name="refunding")
class Refunding:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            refund, {"order": "1001", "subject": "customer:7"}, start_to_close_timeout=timedelta(seconds=10)
        )


async def test_an_activity_logs_with_its_run_and_customer(lines: Lines, temporal: Client) -> None:
    async with Worker(
        temporal,
        task_queue="logging",
        workflows=[Refunding],
        activities=[refund],
        interceptors=[LogContextInterceptor()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await temporal.execute_workflow(Refunding.run, id="refund/1001", task_queue="logging")
    (line,) = [line for line in lines() if line["event"] == "refunding"]
    assert (line["run"], line["flow"], line["activity"]) == ("refund/1001", "refunding", "refund")
    assert (line["customer"], line["order"]) == ("7", "1001")
