"""What `tandem up` shows when everything serves: where, who, and how to stop."""

import unicodedata
from collections.abc import Sequence

from commands.console import both
from domain.problems import Text
from runtime.instance import Addresses
from runtime.settings import Settings
from services.setup import DemoLogin


def welcome(settings: Settings, addresses: Addresses, logins: Sequence[DemoLogin]) -> str:
    """Addresses, logins and tokens as a page of text."""
    places = [
        (Text("接口", "API"), addresses.api_url),
        (Text("接口文档", "API docs"), f"{addresses.api_url}/docs"),
        (Text("Temporal 界面", "Temporal UI"), addresses.temporal_ui_url),
        (Text("平台模拟器", "platform simulator"), addresses.simulator_url),
        (Text("日志", "logs"), str(settings.logs_dir)),
    ]
    lines = ["", both(Text("双擎已启动", "Tandem is running"), settings.locale), ""]
    lines += [f"  {_padded(both(name, settings.locale), 36)}{where}" for name, where in places if where]
    if logins:
        lines += ["", f"  {both(Text('演示账号（仅供本机试用）', 'demo logins (for this machine)'), settings.locale)}"]
        rows = [("login", "role", "name", "password", "token")]
        rows += [(login.login, login.role, login.name, login.password, login.token) for login in logins]
        widths = [max(_width(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
        lines += ["  " + "".join(map(_padded, row, widths)).rstrip() for row in rows]
    lines += ["", both(Text("按 Ctrl-C 停止；数据会保留", "Ctrl-C stops it; the data stays"), settings.locale), ""]
    return "\n".join(lines)


def _width(text: str) -> int:
    """How many columns a terminal gives to it: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(text: str, width: int) -> str:
    return text + " " * max(1, width - _width(text))
