"""What a WeChat Store's callback says when a variant runs low: how many are left, at 20 % and 10 % of what there was.

Source: developers.weixin.qq.com, channels_ec_stock_no_enough, documented for local shops [O]; that other shops get it
too, by public SDKs [S].
"""

from connectors.accounts import Account
from connectors.reading import text, whole_number
from connectors.shop_records import moment_version
from connectors.webhooks import Verified
from connectors.wechat.callbacks import created_at, read_fields
from domain.canonical import StockData
from domain.canonical.announcing import announce
from domain.events import Event

RUNNING_LOW = "channels_ec_stock_no_enough"


def running_low_event(record: Verified, account: Account) -> Event:
    """The event of one callback. Raises ValidationProblem for what it does not promise."""
    fields = read_fields(record.payload)
    told = created_at(fields, record.received_at)
    stock = StockData(
        platform=account.platform,
        account=account.slug,
        version=moment_version(told),
        occurred_at=told,
        item_id=text(fields, f"{RUNNING_LOW}.product_id"),
        sku_id=text(fields, f"{RUNNING_LOW}.sku_id"),
        available=whole_number(fields, f"{RUNNING_LOW}.remaining_stock_amount"),
    )
    return announce(stock, record.received_at)
