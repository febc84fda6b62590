"""A Youzan buyer who was asked about: orders name them by a number of Youzan's, this by their WeChat identities.

Source: youzan.users.info.query 1.0.1, `wechat_info` of an entry of `user_list` [S].
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.accounts import Account
from connectors.listed_rows import row_payload
from connectors.payloads import parse_json_object
from connectors.reading import optional_text, text
from connectors.telling import tell
from connectors.webhooks import Verified
from domain.canonical import MemberData
from domain.events import Event, rfc3339
from domain.ids import content_digest

BUYER_READ = "buyer.read"


def buyer_record(buyer_id: str, wechat: Mapping[str, Any], began: datetime) -> Verified:
    """What was read of a buyer, as the inbox takes it."""
    said = {"yz_open_id": buyer_id, "wechat_info": dict(wechat)}
    payload = row_payload(said)
    # Whom it names is said by the payload, which an erasure empties, not by the key, which stays.
    return Verified(BUYER_READ, payload, f"{BUYER_READ}/{content_digest(buyer_id)}/{rfc3339(began)}", began)


def buyer_events(record: Verified, account: Account) -> list[Event]:
    """The buyer with the keys that tell whose they are. Raises ValidationProblem."""
    said = parse_json_object(record.payload)
    wechat = said.get("wechat_info")
    known: Mapping[str, Any] = wechat if isinstance(wechat, Mapping) else {}
    data = MemberData(
        platform=account.platform,
        account=account.slug,
        version=int(record.received_at.timestamp() * 1000),
        occurred_at=record.sent_at or record.received_at,
        buyer_id=text(said, "yz_open_id"),
        unionid=optional_text(known, "union_id", limit=64),
        openid=optional_text(known, "open_id", limit=64),
    )
    subject, keys = f"member:{data.account_id}/{data.buyer_id}", (f"customer:{account.platform}/{data.buyer_id}",)
    return [tell("member.updated", subject, data, record, account, keys=keys, parts=(str(data.version),))]
