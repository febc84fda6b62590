"""Checks of what runs: the database, Temporal, the API. Each one has an end."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import psycopg
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError, RPCStatusCode

from domain.problems import ConfigurationProblem, ProblemError, Text, UnavailableProblem
from runtime.doctor.finding import Finding, refused
from runtime.health import API_READINESS_PATH
from runtime.search_attributes import SEARCH_ATTRIBUTES, missing_search_attributes
from runtime.settings import Settings
from runtime.temporal_client import connection_problem, temporal_client
from storage.migrations import pending

_SKEW_WARN_S, _SKEW_FAIL_S = 2.0, 30.0


async def check_database(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, new enough, migrated; and whether its clock agrees with ours."""
    url = settings.required_database_url()
    try:
        async with await psycopg.AsyncConnection.connect(url, connect_timeout=5, autocommit=True) as connection:
            before = time.time()
            cursor = await connection.execute(
                "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('server_version'),"
                " pg_database_size(current_database())"
            )
            row = await cursor.fetchone()
            after = time.time()
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[-1]
        yield Finding(
            "database",
            "fail",
            Text(f"无法连接数据库：{reason}", f"the database cannot be reached: {reason}"),
            Text(
                "请确认它在运行，并检查 TANDEM_DATABASE_URL 中的主机、端口、用户与密码",
                "See that it runs, and check host, port, user and password in TANDEM_DATABASE_URL",
            ),
        )
        return
    theirs, release, size = (float(row[0]), str(row[1]), int(row[2])) if row else (after, "?", 0)
    try:
        waiting = await asyncio.to_thread(pending, url)
    except ProblemError as error:
        yield refused("database", error)
        return
    if waiting:
        yield Finding(
            "database",
            "fail",
            Text(f"数据库结构待升级：{', '.join(waiting)}", f"migrations are waiting: {', '.join(waiting)}"),
            Text("请执行 tandem migrate", "Run: tandem migrate"),
        )
    else:
        megabytes = f"{size / 1e6:.0f} MB"
        yield Finding(
            "database",
            "ok",
            Text(
                f"PostgreSQL {release}，结构最新，占用 {megabytes}",
                f"PostgreSQL {release}, fully migrated, {megabytes}",
            ),
        )
    yield _clock(theirs, before, after)


def _clock(theirs: float, before: float, after: float) -> Finding:
    skew_s = theirs - after if theirs > after else min(theirs - before, 0.0)
    said = Text(
        f"与数据库的时钟相差 {abs(skew_s):.1f} 秒", f"our clock and the database's differ by {abs(skew_s):.1f} s"
    )
    remedy = Text("请启用时间同步（NTP），两台机器都要", "Switch on time synchronisation (NTP) on both machines")
    if abs(skew_s) > _SKEW_FAIL_S:
        return Finding("clock", "fail", said, remedy)
    if abs(skew_s) > _SKEW_WARN_S:
        return Finding("clock", "warn", said, remedy)
    return Finding("clock", "ok", said)


async def check_temporal(settings: Settings) -> AsyncIterator[Finding]:
    """Reachable, with our namespace and our search attributes."""
    address, namespace = settings.required_temporal_address(), settings.temporal_namespace
    try:
        async with asyncio.timeout(8):
            client = await temporal_client(settings)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
        missing = await missing_search_attributes(client)
    except (ProblemError, RPCError, TimeoutError) as error:
        yield _no_temporal(settings, error)
        return
    if missing:
        names = ", ".join(missing)
        commands = "; ".join(
            f"temporal operator search-attribute create --name {name} --type {SEARCH_ATTRIBUTES[name]}"
            for name in missing
        )
        yield Finding(
            "temporal",
            "fail",
            Text(f"缺少搜索属性：{names}", f"search attributes are missing: {names}"),
            Text(f"请执行：{commands}", f"Run: {commands}"),
        )
    else:
        way = " (TLS)" if settings.temporal_tls else ""
        yield Finding(
            "temporal", "ok", Text(f"{address}{way}，命名空间 {namespace}", f"{address}{way}, namespace {namespace}")
        )


def _no_temporal(settings: Settings, error: ProblemError | RPCError | TimeoutError) -> Finding:
    namespace = settings.temporal_namespace
    if isinstance(error, RPCError) and error.status is RPCStatusCode.NOT_FOUND:
        return Finding(
            "temporal",
            "fail",
            Text(f"命名空间 {namespace} 不存在", f"the namespace {namespace} does not exist"),
            Text(
                f"请执行 temporal operator namespace create --namespace {namespace}，或修改 TANDEM_TEMPORAL_NAMESPACE",
                f"Run: temporal operator namespace create --namespace {namespace}; or change TANDEM_TEMPORAL_NAMESPACE",
            ),
        )
    if isinstance(error, TimeoutError):
        problem: ProblemError = UnavailableProblem(Text("连接 Temporal 超时", "Temporal does not answer in time"))
    else:
        problem = connection_problem(settings, error) if isinstance(error, RPCError) else error
    found = refused("temporal", problem)
    if isinstance(problem, ConfigurationProblem):
        return found
    remedy = Text(
        "请确认它在运行，并检查 TANDEM_TEMPORAL_ADDRESS", "See that it runs, and check TANDEM_TEMPORAL_ADDRESS"
    )
    return replace(found, remedy=remedy)


async def check_api(settings: Settings) -> AsyncIterator[Finding]:
    """Whether the API that should run here can serve."""
    try:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.get(settings.api_url + API_READINESS_PATH)
    except httpx.HTTPError:
        yield Finding(
            "api",
            "fail",
            Text(f"接口 {settings.api_url} 没有应答", f"the API at {settings.api_url} does not answer"),
            Text(f"请查看日志 {settings.logs_dir / 'api.log'}", f"See its log, {settings.logs_dir / 'api.log'}"),
        )
        return
    if answer.is_success:
        yield Finding("api", "ok", Text(f"{settings.api_url} 可用", f"{settings.api_url} serves"))
    else:
        yield Finding(
            "api",
            "warn",
            Text(f"接口尚未就绪（{answer.status_code}）", f"the API is not ready ({answer.status_code})"),
            Text(f"请查看 {settings.api_url}{API_READINESS_PATH}", f"See {settings.api_url}{API_READINESS_PATH}"),
        )
