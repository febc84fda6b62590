"""Every route and every role: who is let in, who is not, and that nobody forgot to say."""

import pytest
from fastapi import APIRouter, FastAPI

from api.auth import requirement_of
from api.openapi import api_routes
from api.routing import ApiRoute
from domain.access import ROLE_PERMISSIONS, Permission, Role
from tests.api.house import Answer, House, problem

_P = Permission
_ANYBODY: frozenset[Permission] = frozenset()

PUBLIC = {
    "POST /api/v1/session",
    "POST /hooks/{platform}/{account}",
    "GET /hooks/{platform}/{account}",
    "GET /pixel/{account}.gif",
    "POST /collect/{account}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs.css",
}
SIGNED_IN = {
    "GET /api/v1/session",
    "DELETE /api/v1/session",
    "PUT /api/v1/session/password",
    "POST /api/v1/tokens",
    "GET /api/v1/tokens",
    "DELETE /api/v1/tokens/{prefix}",
}
NEEDS = {
    "POST /api/v1/definitions": {_P.DEFINITIONS_DRAFT, _P.SCHEMES_DRAFT},
    "POST /api/v1/definitions/lint": {_P.DEFINITIONS_DRAFT, _P.SCHEMES_DRAFT},
    "POST /api/v1/definitions/dry-run": {_P.DEFINITIONS_DRAFT},
    "GET /api/v1/definitions": {_P.DEFINITIONS_READ},
    "GET /api/v1/definitions/{namespace}/{name}": {_P.DEFINITIONS_READ},
    "GET /api/v1/definitions/{namespace}/{name}/diff": {_P.DEFINITIONS_READ},
    "GET /api/v1/definitions/{namespace}/{name}/{version}": {_P.DEFINITIONS_READ},
    "GET /api/v1/definitions/{namespace}/{name}/{version}/graph": {_P.DEFINITIONS_READ},
    "POST /api/v1/definitions/{namespace}/{name}/{version}/publish": {_P.DEFINITIONS_PUBLISH},
    "POST /api/v1/definitions/{namespace}/{name}/{version}/approve": {_P.DEFINITIONS_APPROVE},
    "GET /api/v1/resources/{kind}": {_P.DEFINITIONS_READ},
    "GET /api/v1/resources/{kind}/{name}": {_P.DEFINITIONS_READ},
    "GET /api/v1/resources/{kind}/{name}/diff": {_P.DEFINITIONS_READ},
    "GET /api/v1/resources/{kind}/{name}/{version}": {_P.DEFINITIONS_READ},
    "GET /api/v1/resources/{kind}/{name}/{version}/explained": {_P.DEFINITIONS_READ},
    "POST /api/v1/resources/{kind}/{name}/{version}/publish": {_P.DEFINITIONS_PUBLISH, _P.SCHEMES_PUBLISH},
    "POST /api/v1/resources/{kind}/{name}/{version}/approve": {_P.DEFINITIONS_APPROVE},
    "GET /api/v1/customers/{customer_id}/tags": {_P.CUSTOMERS_READ},
    "GET /api/v1/customers/{customer_id}/tags/{tag}": {_P.CUSTOMERS_READ},
    "POST /api/v1/customers/{customer_id}/tags": {_P.CUSTOMERS_TAG},
    "GET /api/v1/customers/{customer_id}/consents": {_P.CUSTOMERS_READ},
    "GET /api/v1/customers/{customer_id}/invitations": {_P.PAYEES_READ},
    "POST /api/v1/customers/{customer_id}/invitations": {_P.PAYEES_MANAGE},
    "POST /api/v1/customers/{customer_id}/consents": {_P.CUSTOMERS_SUPPRESS},
    "POST /api/v1/customers/{customer_id}/life-events": {_P.CUSTOMERS_TAG},
    "GET /api/v1/customers/{customer_id}/suppressions": {_P.CUSTOMERS_READ},
    "POST /api/v1/customers/{customer_id}/suppressions": {_P.CUSTOMERS_SUPPRESS},
    "DELETE /api/v1/customers/{customer_id}/suppressions/{suppression_id}": {_P.CUSTOMERS_SUPPRESS},
    "GET /api/v1/tag-rules": {_P.DEFINITIONS_READ},
    "POST /api/v1/tag-rules/preview": {_P.DEFINITIONS_DRAFT},
    "POST /api/v1/tag-rules/{name}/release": {_P.RELEASES_MANAGE},
    "POST /api/v1/gradings/{name}/release": {_P.RELEASES_MANAGE},
    "POST /api/v1/gradings/preview": {_P.DEFINITIONS_DRAFT},
    "POST /api/v1/releases/{namespace}/{name}": {_P.RELEASES_MANAGE},
    "POST /api/v1/releases/{namespace}/{name}/rollback": {_P.RELEASES_MANAGE},
    "GET /api/v1/releases/{namespace}/{name}": {_P.DEFINITIONS_READ},
    "GET /api/v1/releases/{namespace}/{name}/history": {_P.DEFINITIONS_READ},
    "POST /api/v1/runs": {_P.RUNS_START},
    "GET /api/v1/runs": {_P.RUNS_READ},
    "GET /api/v1/runs/{run_id}": {_P.RUNS_READ},
    "POST /api/v1/runs/{run_id}/cancel": {_P.RUNS_CONTROL},
    "POST /api/v1/runs/{run_id}/suspend": {_P.RUNS_CONTROL},
    "POST /api/v1/runs/{run_id}/resume": {_P.RUNS_CONTROL},
    "POST /api/v1/runs/{run_id}/retry": {_P.RUNS_CONTROL},
    "GET /api/v1/human-tasks": {_P.TASKS_READ},
    "GET /api/v1/human-tasks/{task_id}": {_P.TASKS_READ},
    "POST /api/v1/human-tasks/{task_id}/claim": {_P.TASKS_WORK},
    "POST /api/v1/human-tasks/{task_id}/release": {_P.TASKS_WORK, _P.TASKS_MANAGE},
    "POST /api/v1/human-tasks/{task_id}/delegate": {_P.TASKS_WORK, _P.TASKS_MANAGE},
    "POST /api/v1/human-tasks/{task_id}/start": {_P.TASKS_WORK},
    "PUT /api/v1/human-tasks/{task_id}/draft": {_P.TASKS_WORK},
    "POST /api/v1/human-tasks/{task_id}/complete": {_P.TASKS_WORK},
    "POST /api/v1/human-tasks/{task_id}/fail": {_P.TASKS_WORK},
    "POST /api/v1/events": {_P.EVENTS_PUBLISH},
    "GET /api/v1/events/parked": {_P.EVENTS_READ},
    "POST /api/v1/events/parked/retry": {_P.EVENTS_PUBLISH},
    "GET /api/v1/events/quarantine": {_P.EVENTS_READ},
    "GET /api/v1/events/quarantine/groups": {_P.EVENTS_READ},
    "GET /api/v1/events/quarantine/{push_id}": {_P.EVENTS_READ},
    "POST /api/v1/events/quarantine/{push_id}/correct": {_P.EVENTS_PUBLISH},
    "POST /api/v1/events/quarantine/correct": {_P.EVENTS_PUBLISH},
    "POST /api/v1/events/quarantine/retry": {_P.EVENTS_PUBLISH},
    "POST /api/v1/events/quarantine/put-away": {_P.EVENTS_PUBLISH},
    "GET /api/v1/lookups": {_P.EVENTS_READ},
    "POST /api/v1/lookups/retry": {_P.EVENTS_PUBLISH},
    "POST /api/v1/subscriptions": {_P.SUBSCRIPTIONS_MANAGE},
    "GET /api/v1/subscriptions": {_P.SUBSCRIPTIONS_READ},
    "GET /api/v1/subscriptions/{subscription_id}": {_P.SUBSCRIPTIONS_READ},
    "DELETE /api/v1/subscriptions/{subscription_id}": {_P.SUBSCRIPTIONS_MANAGE},
    "POST /api/v1/subscriptions/{subscription_id}/pause": {_P.SUBSCRIPTIONS_MANAGE},
    "POST /api/v1/subscriptions/{subscription_id}/resume": {_P.SUBSCRIPTIONS_MANAGE},
    "POST /api/v1/subscriptions/{subscription_id}/rotate-secret": {_P.SUBSCRIPTIONS_MANAGE},
    "GET /api/v1/subscriptions/{subscription_id}/dead-letters": {_P.SUBSCRIPTIONS_READ},
    "POST /api/v1/subscriptions/{subscription_id}/redrive": {_P.SUBSCRIPTIONS_MANAGE},
    "POST /api/v1/imports/{platform}/{slug}": {_P.EVENTS_PUBLISH},
    "POST /api/v1/streams/{platform}/{slug}/{stream}/read": {_P.ACCOUNTS_MANAGE},
    "POST /api/v1/streams/{platform}/{slug}/{stream}/compare": {_P.ACCOUNTS_MANAGE},
    "PUT /api/v1/payees": {_P.PAYEES_MANAGE},
    "GET /api/v1/payees": {_P.PAYEES_READ},
    "GET /api/v1/payees/{code}": {_P.PAYEES_READ},
    "PUT /api/v1/settlement/uplines": {_P.PAYEES_MANAGE},
    "PUT /api/v1/settlement/keys": {_P.PAYEES_MANAGE},
    "GET /api/v1/settlement/orders/{platform}/{slug}/{order_id}": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/orders/{platform}/{slug}/{order_id}/corrections": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/corrections": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/corrections/{correction_id}/approve": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/corrections/{correction_id}/refuse": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/calculations": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/calculations": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/calculations/{calculation_id}": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/calculations/{calculation_id}/payees/{code}": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/calculations/{calculation_id}/payees/{code}/components/{component}/lines": {
        _P.SETTLEMENTS_READ
    },
    "GET /api/v1/settlement/calculations/{calculation_id}/payees/{code}/components/{component}/facts": {
        _P.SETTLEMENTS_READ
    },
    "GET /api/v1/settlement/calculations/{calculation_id}/payees/{code}/components/{component}/below": {
        _P.SETTLEMENTS_READ
    },
    "GET /api/v1/settlement/calculations/{calculation_id}/payees": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/runs/{settlement_id}/payees": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/calculations/{calculation_id}/comparison": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/calculations/{calculation_id}/repeat": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/payees/{code}/account": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/payouts": {_P.PAYOUTS_PREPARE},
    "GET /api/v1/settlement/payouts": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/payouts/{batch_id}": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/payouts/{batch_id}/payouts": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/payouts/{batch_id}/omissions": {_P.SETTLEMENTS_READ},
    "GET /api/v1/payouts/{number}": {_P.SETTLEMENTS_READ},
    "GET /api/v1/payouts/{number}/confirmation": {_P.PAYEES_READ},
    "POST /api/v1/payouts/{number}/call-off": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/payouts/{batch_id}/call-off": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/payouts/{batch_id}/approve": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/payouts/{batch_id}/refuse": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/runs": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/runs/approve": {_P.PAYOUTS_APPROVE},
    "GET /api/v1/settlement/due": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/due": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/runs": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/runs/{settlement_id}": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/runs/{settlement_id}/approve": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/runs/{settlement_id}/refuse": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/periods/close": {_P.PAYOUTS_APPROVE},
    "GET /api/v1/settlement/ledger/trial-balance": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/bank-files": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/bank-files": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/bank-files/{file_number}": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/bank-files/{file_number}/answers": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/bills": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/bills/{platform}/{slug}/{day}": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/bills/{bill}/confirm": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/bills/{bill}/withdraw": {_P.PAYOUTS_APPROVE},
    "GET /api/v1/settlement/bill-terms/{platform}/{slug}": {_P.SETTLEMENTS_READ},
    "PUT /api/v1/settlement/bill-terms/{platform}/{slug}": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/bill-terms/{platform}/{slug}/confirm": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/bill-terms/{platform}/{slug}/refuse": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/reconciliations/{platform}/{slug}/{day}": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/reconciliations/unreconciled": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/breaks": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/breaks/aged": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/breaks/{break_id}": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/breaks/{break_id}/assign": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/breaks/{break_id}/explain": {_P.SETTLEMENTS_RUN},
    "POST /api/v1/settlement/breaks/{break_id}/solve": {_P.PAYOUTS_APPROVE},
    "POST /api/v1/settlement/breaks/{break_id}/refuse": {_P.PAYOUTS_APPROVE},
    "GET /api/v1/settlement/reports": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/reports/{name}": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/tie-out": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/statements/{code}.pdf": {_P.SETTLEMENTS_READ},
    "GET /api/v1/settlement/statements.zip": {_P.SETTLEMENTS_READ},
    "POST /api/v1/settlement/facts": {_P.PAYEES_MANAGE},
    "POST /api/v1/settlement/facts/import": {_P.PAYEES_MANAGE},
    "PUT /api/v1/settlement/rates": {_P.SETTLEMENTS_RUN},
    "GET /api/v1/settlement/rates/{currency}/{day}": {_P.SETTLEMENTS_READ},
    "POST /api/v1/accounts": {_P.ACCOUNTS_MANAGE},
    "GET /api/v1/accounts": {_P.ACCOUNTS_READ},
    "GET /api/v1/accounts/platforms": {_P.ACCOUNTS_READ},
    "GET /api/v1/accounts/{platform}/{slug}": {_P.ACCOUNTS_READ},
    "PATCH /api/v1/accounts/{platform}/{slug}": {_P.ACCOUNTS_MANAGE},
    "PUT /api/v1/accounts/{platform}/{slug}/credentials": {_P.ACCOUNTS_MANAGE},
    "POST /api/v1/accounts/{platform}/{slug}/disconnect": {_P.ACCOUNTS_MANAGE},
    "POST /api/v1/accounts/{platform}/{slug}/reconnect": {_P.ACCOUNTS_MANAGE},
    "POST /api/v1/accounts/{platform}/{slug}/test": {_P.ACCOUNTS_MANAGE},
    "GET /api/v1/streams": {_P.ACCOUNTS_READ},
    "GET /api/v1/comparisons": {_P.ACCOUNTS_READ},
    "GET /api/v1/customers": {_P.CUSTOMERS_READ},
    "GET /api/v1/customers/{customer_id}": {_P.CUSTOMERS_READ},
    "GET /api/v1/customers/{customer_id}/timeline": {_P.CUSTOMERS_READ},
    "POST /api/v1/customers/{customer_id}/export": {_P.CUSTOMERS_EXPORT},
    "POST /api/v1/customers/{customer_id}/erase": {_P.CUSTOMERS_ERASE},
    "GET /api/v1/customers/{customer_id}/erasure": {_P.CUSTOMERS_ERASE},
    "GET /api/v1/customers/{customer_id}/identities": {_P.CUSTOMERS_READ},
    "POST /api/v1/customers/{customer_id}/merge": {_P.CUSTOMERS_MERGE},
    "POST /api/v1/customers/{customer_id}/split": {_P.CUSTOMERS_MERGE},
    "POST /api/v1/identity-decisions/{decision_id}/undo": {_P.CUSTOMERS_MERGE},
    "GET /api/v1/identity-suggestions": {_P.CUSTOMERS_READ},
    "POST /api/v1/identity-suggestions/{suggestion_id}/settle": {_P.CUSTOMERS_MERGE},
    "GET /api/v1/secrets": {_P.SECRETS_READ},
    "PUT /api/v1/secrets/{name}": {_P.SECRETS_MANAGE},
    "DELETE /api/v1/secrets/{name}": {_P.SECRETS_MANAGE},
    "POST /api/v1/users": {_P.USERS_MANAGE},
    "GET /api/v1/users": {_P.USERS_READ},
    "GET /api/v1/users/{login}": {_P.USERS_READ},
    "PATCH /api/v1/users/{login}/rights": {_P.USERS_MANAGE},
    "PUT /api/v1/users/{login}/password": {_P.USERS_MANAGE},
    "POST /api/v1/users/{login}/disable": {_P.USERS_MANAGE},
    "POST /api/v1/users/{login}/enable": {_P.USERS_MANAGE},
    "GET /api/v1/organisation-units": {_P.ORGANISATION_READ},
    "POST /api/v1/organisation-units": {_P.ORGANISATION_MANAGE},
    "GET /api/v1/audit": {_P.AUDIT_READ},
    "GET /api/v1/audit/verification": {_P.AUDIT_READ},
    "GET /api/v1/catalog/functions": {_P.DEFINITIONS_READ},
    "GET /api/v1/catalog/functions/{name}": {_P.DEFINITIONS_READ},
    "GET /api/v1/catalog/event-types": {_P.DEFINITIONS_READ},
    "GET /api/v1/catalog/flow-schema": {_P.DEFINITIONS_READ},
}


def _declared(app: FastAPI) -> dict[str, frozenset[Permission] | None]:
    """What each route says it needs, None for a public one."""
    found: dict[str, frozenset[Permission] | None] = {}
    for route in api_routes(app):
        requirement = requirement_of(route.dependant)
        for method in route.methods or ():
            needs = None if requirement is None else frozenset(requirement.permissions)
            found[f"{method} {route.path_format}"] = needs
    return found


def test_every_route_declares_what_this_table_says(house: House) -> None:
    expected: dict[str, frozenset[Permission] | None] = {
        **dict.fromkeys(PUBLIC, None),
        **dict.fromkeys(SIGNED_IN, _ANYBODY),
        **{route: frozenset(permissions) for route, permissions in NEEDS.items()},
    }
    assert _declared(house.app) == expected


def test_a_route_without_a_declaration_does_not_come_into_being() -> None:
    forgetful = APIRouter(route_class=ApiRoute)

    async def careless() -> None:
        return None

    with pytest.raises(TypeError, match="must declare one permission"):
        forgetful.add_api_route("/careless", careless)


@pytest.mark.parametrize("role", list(Role))
async def test_a_role_enters_where_its_permissions_allow_and_nowhere_else(house: House, role: Role) -> None:
    held = ROLE_PERMISSIONS[role]
    wrong = []
    for route, permissions in NEEDS.items():
        answer = await _knock(house, role.value, route)
        allowed = bool(permissions & held)
        refused = answer.status_code == 403
        if refused == allowed or answer.status_code in (401, 500):
            wrong.append(f"{route}: {answer.status_code}")
        if refused and "permission" not in problem(answer):
            wrong.append(f"{route}: refused for another reason")
    assert wrong == []


async def test_nobody_enters_without_a_token(house: House) -> None:
    for route in (*NEEDS, *SIGNED_IN):
        answer = await _knock(house, None, route)
        assert answer.status_code == 401, route
        assert problem(answer)["title"] == "未通过身份认证"


async def test_a_limited_token_enters_only_where_it_says(house: House) -> None:
    issued = await house.post("ops", "/api/v1/tokens", {"name": "reader", "scopes": ["runs.read"]})
    house.tokens["ops-reader"] = issued.json()["text"]
    assert (await house.get("ops-reader", "/api/v1/runs")).status_code == 200
    assert (await house.get("ops-reader", "/api/v1/definitions")).status_code == 403
    assert (await house.post("ops-reader", "/api/v1/runs", {})).status_code == 403


async def test_whoever_is_signed_in_may_look_after_their_own(house: House) -> None:
    for role in Role:
        assert (await house.get(role.value, "/api/v1/session")).status_code == 200
        issued = await house.post(role.value, "/api/v1/tokens", {"name": "mine"})
        assert issued.status_code == 201, issued.text
        prefix = issued.json()["token"]["prefix"]
        listed = await house.get(role.value, "/api/v1/tokens")
        assert prefix in [token["prefix"] for token in listed.json()["items"]]
        assert (await house.say(role.value, "DELETE", f"/api/v1/tokens/{prefix}")).status_code == 204


async def test_nobody_reads_or_ends_anothers_tokens_without_managing_users(house: House) -> None:
    mine = await house.post("finance", "/api/v1/tokens", {"name": "mine"})
    prefix = mine.json()["token"]["prefix"]
    assert (await house.get("agent", "/api/v1/tokens?login=finance")).status_code == 403
    assert (await house.get("agent", "/api/v1/tokens?everybody=true")).status_code == 403
    assert (await house.say("agent", "DELETE", f"/api/v1/tokens/{prefix}")).status_code == 403
    assert (await house.get("auditor", "/api/v1/tokens?login=finance")).status_code == 200


async def _knock(house: House, who: str | None, route: str) -> Answer:
    method, path = route.split(" ")
    path = path.replace("{kind}", "scheme")
    while "{" in path:
        head, _, tail = path.partition("{")
        path = f"{head}not-there{tail.partition('}')[2]}"
    return await house.say(who, method, path)
