"""The HTTP application: made from what it is given, no globals, one layer around another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI

from api.deps import ApiDependencies
from api.description_page import description
from api.head_requests import HeadRequests
from api.limits import RateLimiter, RequestBounds
from api.metrics import Metrics
from api.observation import Observation
from api.openapi import describe
from api.problems import install_problem_handlers
from api.push_refusals import PushRefusals
from api.routes.accounts import accounts
from api.routes.audit import audit
from api.routes.bank_payouts import bank_files
from api.routes.bill_terms import bill_terms
from api.routes.calculation_comparisons import calculation_comparisons
from api.routes.calculations import calculations
from api.routes.catalog import catalog
from api.routes.consents import consents
from api.routes.customers import customers, identity_decisions, identity_suggestions
from api.routes.definitions import definitions
from api.routes.events import events
from api.routes.explanations import explanations
from api.routes.given_payees import given_payees
from api.routes.human_tasks import human_tasks
from api.routes.imports import imports
from api.routes.invitations import invitations
from api.routes.life_events import life_events
from api.routes.lookups import lookups
from api.routes.monitoring import monitoring
from api.routes.payee_accounts import payee_accounts
from api.routes.payouts import payouts
from api.routes.people import organisation, tokens, users
from api.routes.profiles import profiles
from api.routes.quarantine import quarantine
from api.routes.reconciliation import bills, breaks, reconciliations
from api.routes.releases import releases
from api.routes.resources import resources
from api.routes.runs import runs
from api.routes.secrets import secrets
from api.routes.session import session
from api.routes.settlement import payees, settlement
from api.routes.settlement_due import many_runs, settlement_due
from api.routes.settlement_reports import settlement_reports
from api.routes.settlement_runs import ledger, settlement_periods, settlement_runs
from api.routes.single_payouts import single_payouts
from api.routes.sites import sites
from api.routes.streams import comparisons, streams
from api.routes.subscriptions import subscriptions
from api.routes.suppressions import suppressions
from api.routes.tags import customer_tags, gradings, tag_rules
from api.routes.webhooks import webhooks

ROUTERS = (
    session,
    definitions,
    resources,
    customer_tags,
    tag_rules,
    gradings,
    releases,
    runs,
    human_tasks,
    events,
    quarantine,
    lookups,
    subscriptions,
    imports,
    payees,
    settlement,
    calculations,
    calculation_comparisons,
    explanations,
    given_payees,
    settlement_due,
    many_runs,
    settlement_runs,
    settlement_periods,
    ledger,
    payouts,
    single_payouts,
    payee_accounts,
    bank_files,
    bills,
    bill_terms,
    reconciliations,
    breaks,
    settlement_reports,
    accounts,
    streams,
    comparisons,
    customers,
    suppressions,
    consents,
    life_events,
    invitations,
    profiles,
    identity_decisions,
    identity_suggestions,
    secrets,
    users,
    tokens,
    organisation,
    audit,
    catalog,
    webhooks,
    sites,
    monitoring,
    description,
)

log = structlog.get_logger(__name__)


class _Api(FastAPI):
    """Describes itself when first asked to."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_app(deps: ApiDependencies, close: Callable[[], Awaitable[None]] | None = None) -> FastAPI:
    """The application over these dependencies; close: called once when it has answered its last request."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("api serves")
        yield
        if close is not None:
            await close()
        log.info("api stopped")

    app = _Api(
        title="Tandem (双擎)",
        version="1.0.0",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=lambda route: route.name,
    )
    metrics, limiter = Metrics(), RateLimiter(deps.settings.rates)
    push_refusals = PushRefusals(deps.connectors, metrics)
    app.state.dependencies = deps
    app.state.metrics = metrics
    app.state.limiter = limiter
    app.state.push_refusals = push_refusals
    install_problem_handlers(app)
    for each in ROUTERS:
        app.include_router(each)
    # The layer that is added last is the outermost.
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestBounds, limiter=limiter, push_refusals=push_refusals)
    app.add_middleware(Observation, metrics=metrics)
    return app
