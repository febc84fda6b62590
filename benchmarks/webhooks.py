"""How many signed pushes a second are verified, stored and acknowledged over HTTP."""

import json
from itertools import count

from benchmarks.figures import Figure
from benchmarks.house import SHOP, SHOP_CLIENT, SHOP_ID, SHOP_SECRET, House, load
from simulator.platforms.youzan.wire import event_sign

TITLE = "Webhooks: signed Youzan pushes to /hooks, while a worker reads what comes in"
NOTE = "one insert on disk is all a platform waits for; it gives up after five seconds"
_ROUNDS = 3
_PUSHES = 200
_CALLERS = 20
_numbers = count(1)


async def measure(house: House) -> list[Figure]:
    """Twenty callers, then one."""
    await load(lambda _: _push(house), 40, _CALLERS)
    rounds = [
        (await load(lambda _: _push(house), _PUSHES, _CALLERS), await load(lambda _: _push(house), 40, 1))
        for _ in range(_ROUNDS)
    ]
    return [
        Figure("twenty callers", [together.per_second for together, _ in rounds], "pushes/s"),
        Figure("  p95", [together.p95_ms for together, _ in rounds], "ms", "lower"),
        Figure("one at a time, p50", [alone.p50_ms for _, alone in rounds], "ms", "lower"),
    ]


async def _push(house: House) -> None:
    number = next(_numbers)
    trade = {"tid": f"E{number}", "update_time": "2026-11-11 00:00:00", "status": "WAIT_SELLER_SEND_GOODS"}
    body = json.dumps(
        {
            "client_id": SHOP_CLIENT,
            "id": f"E{number}",
            "kdt_id": SHOP_ID,
            "msg_id": f"push-{number}",
            "msg": json.dumps(trade),
            "type": "trade_TradePaid",
            "version": 1,
        }
    ).encode()
    headers = {"Event-Sign": event_sign(SHOP_CLIENT, body, SHOP_SECRET), "Event-Type": "trade_TradePaid"}
    (await house.api.post(f"/hooks/youzan/{SHOP}", content=body, headers=headers)).raise_for_status()
