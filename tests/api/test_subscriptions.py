"""Subscriptions over HTTP: the secret once, the state ever after, and the host that is not allowed."""

from connectors.web.guard import HostGuard, WebSettings
from services.subscriptions import SubscriptionService
from tests.api.house import House, problem

WANTED = {"name": "warehouse", "url": "https://warehouse.example.com/tandem", "types": ["tandem.order.*"]}


async def test_a_subscription_lives_and_ends_over_the_api(house: House) -> None:
    guard = HostGuard(WebSettings(("warehouse.example.com",), False))
    app, _ = house.with_other(subscriptions=SubscriptionService(house.database, guard))
    headers = {"Authorization": f"Bearer {house.tokens['ops']}"}
    async with house.client_of(app) as client:
        created = await client.post("/api/v1/subscriptions", json=WANTED, headers=headers)
        assert created.status_code == 201, created.text
        secret = created.json()["secret"]
        assert secret.startswith("whsec_")
        place = f"/api/v1/subscriptions/{created.json()['subscription']['id']}"
        shown = await client.get(place, headers=headers)
        listed = await client.get("/api/v1/subscriptions", headers=headers)
        assert secret not in shown.text + listed.text
        assert shown.json()["lag"] == {"events": 0, "since": None, "dead": 0}
        rotated = await client.post(f"{place}/rotate-secret", json={"overlap_s": 60}, headers=headers)
        assert rotated.json()["secret"] not in {secret, (await client.get(place, headers=headers)).text}
        assert rotated.json()["subscription"]["previous_until"] is not None
        too_long = await client.post(f"{place}/rotate-secret", json={"overlap_s": 10**9}, headers=headers)
        assert too_long.status_code == 400
        paused = await client.post(f"{place}/pause", headers=headers)
        assert paused.json()["paused_at"] is not None
        assert (await client.post(f"{place}/redrive", json={}, headers=headers)).json() == {"found": 0}
        assert (await client.delete(place, headers=headers)).status_code == 204
        assert (await client.get(place, headers=headers)).status_code == 404
    entries = (await house.get("auditor", "/api/v1/audit?actor=ops")).json()["items"]
    actions = {entry["action"] for entry in entries}
    assert {f"subscription.{what}" for what in ("create", "rotate", "pause", "redrive", "remove")} <= actions
    assert secret not in str(entries)


async def test_a_host_that_is_not_allowed_is_refused_when_subscribing(house: House) -> None:
    refused = await house.post("ops", "/api/v1/subscriptions", WANTED)
    assert refused.status_code == 403
    assert "TANDEM_HTTP_ALLOWED_HOSTS" in problem(refused)["detail"]
    for types in ([], ["tandem.order.*.paid"], [""]):
        assert (await house.post("ops", "/api/v1/subscriptions", {**WANTED, "types": types})).status_code == 400
