"""The catalog: every capability that a flow can call, each declared once."""

from domain.calls import Catalog
from domain.catalog.breaks import BREAK_CALLS
from domain.catalog.catering import ELEME_CALLS, MEITUAN_CALLS
from domain.catalog.coupons import COUPON_CALLS
from domain.catalog.customers import CUSTOMER_CALLS
from domain.catalog.douyin import DOUYIN_CALLS
from domain.catalog.erp import ERP_CALLS
from domain.catalog.flow import FLOW_CALLS
from domain.catalog.goods import GOODS_CALLS
from domain.catalog.jd import JD_CALLS
from domain.catalog.messages import MESSAGE_CALLS
from domain.catalog.official_account import OFFICIAL_ACCOUNT_CALLS
from domain.catalog.orders import ORDER_CALLS
from domain.catalog.payees import PAYEE_CALLS
from domain.catalog.pinduoduo import PINDUODUO_CALLS
from domain.catalog.taobao import TAOBAO_CALLS
from domain.catalog.web import WEB_CALLS
from domain.catalog.wechat_pay import WECHAT_PAY_CALLS
from domain.catalog.wechat_pay_sharing import WECHAT_PAY_SHARING_CALLS
from domain.catalog.wechat_store import WECHAT_STORE_CALLS
from domain.catalog.wecom import WECOM_CALLS
from domain.catalog.youzan import YOUZAN_CALLS

CATALOG = Catalog(
    (
        *FLOW_CALLS,
        *GOODS_CALLS,
        *CUSTOMER_CALLS,
        *ORDER_CALLS,
        *COUPON_CALLS,
        *BREAK_CALLS,
        *PAYEE_CALLS,
        *WECOM_CALLS,
        *YOUZAN_CALLS,
        *TAOBAO_CALLS,
        *JD_CALLS,
        *DOUYIN_CALLS,
        *OFFICIAL_ACCOUNT_CALLS,
        *WECHAT_STORE_CALLS,
        *WECHAT_PAY_CALLS,
        *WECHAT_PAY_SHARING_CALLS,
        *PINDUODUO_CALLS,
        *MEITUAN_CALLS,
        *ELEME_CALLS,
        *ERP_CALLS,
        *MESSAGE_CALLS,
        *WEB_CALLS,
    )
)

__all__ = ["CATALOG"]
