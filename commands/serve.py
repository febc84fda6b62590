"""`tandem api` and `tandem simulator`: serve HTTP until SIGTERM, then finish the requests in hand."""

from typing import Annotated

import typer
import uvicorn

from api.app import create_app
from api.deps import ApiDependencies, ApiSettings
from api.limits import Rates
from domain.catalog import CATALOG
from runtime import event_loop
from runtime.application import Application
from runtime.collector import settle_collector
from runtime.configuration import connected_settings
from runtime.logging import configure_logging
from runtime.ports import API, SIMULATOR, require_free
from runtime.settings import Settings
from runtime.settings_source import read_settings
from runtime.telemetry import configure_telemetry, traced
from services.organisation import OrganisationTree
from services.repeated_requests import RepeatedRequests
from services.vitals import Vitals
from simulator.__main__ import main as serve_simulator

GRACE_S = 10


def api(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="监听端口 / port")] = None,
    host: Annotated[str | None, typer.Option(help="监听地址 / address")] = None,
) -> None:
    """运行接口服务 / serve the HTTP API."""
    settings = connected_settings()
    host, port = host or settings.api_host, port or settings.api_port
    require_free(port, "TANDEM_API_PORT", API, host)
    configure_logging("api", settings.log_level, settings.log_format)
    event_loop.run(_serve(settings, host, port))


def simulator(
    trickle_s: Annotated[
        float | None,
        typer.Option("--trickle", min=0.001, help="每隔几秒产生一笔退款 / a new refund every so many seconds"),
    ] = None,
    customers: Annotated[
        int | None, typer.Option(min=1, max=200_000, help="模拟多少人 / people of the simulated world")
    ] = None,
    years: Annotated[float | None, typer.Option(min=0, max=5, help="历史多少年 / years of history")] = None,
) -> None:
    """运行平台模拟器 / serve the simulated platforms."""
    settings = read_settings()
    require_free(settings.simulator_port, "TANDEM_SIMULATOR_PORT", SIMULATOR, settings.simulator_host)
    arguments = ["--host", settings.simulator_host, "--port", str(settings.simulator_port)]
    arguments += ["--state", str(settings.data_dir / "simulator")]
    arguments += ["--push-base", settings.simulator_push_url or settings.api_url]
    if trickle_s is not None:
        arguments += ["--trickle", str(trickle_s)]
    if customers is not None:
        arguments += ["--customers", str(customers)]
    if years is not None:
        arguments += ["--years", str(years)]
    raise typer.Exit(serve_simulator(arguments))


def api_dependencies(application: Application) -> ApiDependencies:
    """What the API is made of, from the application that the whole process shares."""
    settings = application.settings
    token = settings.metrics_token
    return ApiDependencies(
        database=application.database,
        connectors=application.connectors,
        catalog=CATALOG,
        masking=application.masking,
        access=application.access,
        people=application.people,
        accounts=application.accounts,
        customers=application.customers,
        customer_search=application.customer_search,
        profiles=application.profiles,
        exports=application.exports,
        erasure=application.erasure,
        secrets=application.secrets,
        organisation=OrganisationTree(application.database),
        audit=application.audit,
        definitions=application.definitions,
        releases=application.releases,
        runs=application.runs,
        human_tasks=application.human_tasks,
        events=application.events,
        customer_tags=application.customer_tags,
        grade_previews=application.grade_previews,
        tag_trials=application.tag_trials,
        suppressions=application.suppressions,
        consents=application.consents,
        life_events=application.life_events,
        invitations=application.invitations,
        subscriptions=application.subscriptions,
        inbox=application.inbox,
        quarantine=application.quarantine,
        failed_lookups=application.failed_lookups,
        pull_reports=application.pull_reports,
        stream_readings=application.stream_readings,
        imports=application.imports,
        payees=application.payees,
        fact_imports=application.fact_imports,
        sale_corrections=application.sale_corrections,
        exchange_rates=application.exchange_rates,
        settlements=application.settlements,
        settlement_views=application.settlement_views,
        given_payees=application.given_payees,
        given_files=application.given_files,
        calculation_comparer=application.calculation_comparer,
        settlement_runs=application.settlement_runs,
        due_settlements=application.due_settlements,
        payouts=application.payouts,
        payee_accounts=application.payee_accounts,
        payout_starts=application.payout_starts,
        payout_confirmations=application.payout_confirmations,
        payout_call_offs=application.payout_call_offs,
        bank_payouts=application.bank_payouts,
        bank_answers=application.bank_answers,
        bills=application.bills,
        bill_terms=application.bill_terms,
        bill_corrections=application.bill_corrections,
        reconciliation=application.reconciliation,
        unreconciled=application.unreconciled,
        breaks=application.breaks,
        reports=application.reports,
        report_files=application.report_files,
        payee_statements=application.payee_statements,
        connections=application.connections,
        connection_tests=application.connection_tests,
        repeated_requests=RepeatedRequests(application.database),
        vitals=Vitals(application.database, application.orchestrator),
        settings=ApiSettings(
            metrics_token=token.get_secret_value() if token else None,
            rates=Rates(
                settings.api_caller_rate,
                settings.api_address_rate,
                settings.api_webhook_rate,
                settings.api_pixel_rate,
                settings.api_site_rate,
            ),
        ),
    )


async def _serve(settings: Settings, host: str, port: int) -> None:
    # Lazy: while Temporal is away, everything that does not need it is served.
    application = await Application.connect(settings, configure_telemetry("api", settings.otel_endpoint), lazy=True)
    app = create_app(api_dependencies(application), application.close)
    served = traced(app) if settings.otel_endpoint else app
    settle_collector()
    config = uvicorn.Config(
        served,
        host=host,
        port=port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=64 * 1024,
        limit_concurrency=1_000,
        lifespan="on",
    )
    await uvicorn.Server(config).serve()
