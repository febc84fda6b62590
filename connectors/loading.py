"""Which connectors there are: the built-in ones, and those that other wheels bring.

A wheel adds one by the entry point group `tandem.connectors`, whose object is a `Connector` or makes one.
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from connectors.douyin import DouyinConnector
from connectors.eleme import ElemeConnector
from connectors.erp import ErpConnector
from connectors.generic import GenericConnector
from connectors.jd import JdConnector
from connectors.meituan import MeituanConnector
from connectors.official_account import OfficialAccountConnector
from connectors.pinduoduo import PinduoduoConnector
from connectors.registry import Connector, ConnectorRegistry
from connectors.site import SiteConnector
from connectors.taobao import TaobaoConnector
from connectors.wechat_pay import WechatPayConnector
from connectors.wechat_store import WechatStoreConnector
from connectors.wecom import WecomConnector
from connectors.youzan import YouzanConnector
from domain.calls import Catalog
from domain.problems import ConfigurationProblem, Text

ENTRY_POINT_GROUP = "tandem.connectors"
BUILT_IN: tuple[Callable[[], Connector], ...] = (
    WecomConnector,
    YouzanConnector,
    TaobaoConnector,
    JdConnector,
    DouyinConnector,
    OfficialAccountConnector,
    WechatStoreConnector,
    WechatPayConnector,
    PinduoduoConnector,
    MeituanConnector,
    ElemeConnector,
    ErpConnector,
    GenericConnector,
    SiteConnector,
)


def load_connectors(catalog: Catalog) -> ConnectorRegistry:
    """Every connector, its calls added to the catalog. Raises ConfigurationProblem that names a broken one."""
    registry = ConnectorRegistry(tuple(build() for build in BUILT_IN))
    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            found = point.load()
            connector = found() if callable(found) else found
        except Exception as error:  # a foreign wheel may raise anything while it is imported
            raise _broken(point.name, type(error).__name__) from error
        if not isinstance(connector, Connector):
            raise _broken(point.name, "not a Connector")
        registry.register(connector)
    for connector in registry.values():
        catalog.register(*connector.calls)
    return registry


def _broken(name: str, why: str) -> ConfigurationProblem:
    return ConfigurationProblem(
        Text(
            f"连接器“{name}”无法加载（{why}），请升级或卸载它的安装包",
            f"Connector “{name}” cannot be loaded ({why}); upgrade or uninstall its package",
        )
    )
