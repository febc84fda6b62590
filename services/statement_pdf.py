"""A payee's statement as a PDF in Chinese, some milliseconds each; the same statement is the same bytes.

The font is one of those that every PDF reader brings along for Chinese (Adobe's character collection GB1), so that none
is shipped.
"""

import io
import threading
from collections.abc import Iterator, Mapping, Sequence

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from domain.money import major_from_minor
from domain.settlement.statements import EarnedLine, PayoutLine, Proof, StatedState, Statement

FONT = "STSong-Light"
_WIDTH, _HEIGHT = A4
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, _WIDTH - 48.0, _HEIGHT - 56.0, 56.0
_LINE, _SIZE, _SMALL = 15.0, 9.5, 8.0
_RAILS = {"wechat-pay": "微信转账", "profit-sharing": "分账", "bank": "银行转账"}
_MAKING = threading.Lock()
_STATES: Mapping[StatedState, str] = {
    "created": "已计划",
    "reserved": "已预留",
    "submitting": "提交中",
    "accepted": "已受理",
    "awaiting_user": "待本人确认",
    "unknown": "结果待查",
    "paid": "已付",
    "failed": "失败，已退回余额",
    "cancelled": "已取消",
    "part": "部分已付",
    "later": "期末在途",
    "overpaid": "多付，以后扣除",
    "recovered": "多付的已退回",
}


def statement_pdfs(payees: Sequence[Sequence[Statement]]) -> Sequence[bytes]:
    """The statements of some payees, a PDF for each. To be called in a thread: one is at it at a time."""
    with _MAKING:
        return [statement_pdf(each) for each in payees]


def statement_pdf(statements: Sequence[Statement]) -> bytes:
    """The statements of a payee, one for each currency, on as many pages as they take."""
    if FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    content = io.BytesIO()
    canvas = Canvas(content, pagesize=A4, invariant=1)
    canvas.setTitle(f"结算对账单 {statements[0].payee}")
    for each in statements:
        _Paper(canvas, each).write()
    canvas.save()
    return content.getvalue()


class _Paper:
    """Writes from the top to the bottom of a page, then goes on with another."""

    def __init__(self, canvas: Canvas, statement: Statement) -> None:
        self._canvas = canvas
        self._statement = statement
        self._y = _TOP
        self._page = 1

    def write(self) -> None:
        said = self._statement
        self._text(_LEFT, "结算对账单", 16)
        self._down(26)
        self._text(_LEFT, f"收款人：{said.name}（{said.payee}）")
        self._text(_RIGHT, f"币种：{said.currency}", right=True)
        self._down()
        self._text(_LEFT, f"账期：{said.days.start} 至 {said.days.end}（不含）")
        self._down(1.6 * _LINE)
        self._sum("期初余额", said.opening_minor)
        self._earned([each for each in said.earned if not each.late], "本期收入")
        self._earned([each for each in said.earned if each.late], "往期调整与扣回")
        self._payouts()
        self._down()
        self._rule()
        self._sum("期末余额", said.closing_minor)
        for title, amount in (
            ("其中可付", said.payable_minor),
            ("其中冻结，到期后可付", said.held_minor),
            ("其中付款中", said.paying_minor),
            ("其中欠款，从以后的收入中抵扣", -said.owed_minor),
        ):
            if amount:
                self._sum(f"　{title}", amount)
        self._proofs()
        self._foot()
        self._canvas.showPage()

    def _earned(self, lines: list[EarnedLine], title: str) -> None:
        if not lines:
            return
        self._heading(title, sum(each.amount_minor for each in lines))
        for each in lines:
            of = f"（{each.period_start:%Y-%m-%d} 起账期）" if each.late else ""
            self._sum(f"　{each.title}{of}", each.amount_minor)
            rule = each.rule.zh if each.rule is not None else "合计达到方案的保底或封顶"
            for line in _wrapped(f"基数 {each.base}；{rule}", _RIGHT - _LEFT - 120, _SMALL):
                self._text(_LEFT + 20, line, _SMALL)
                self._down(12)

    def _payouts(self) -> None:
        said = self._statement
        if not said.payouts:
            return
        self._heading("付款", -said.paid_minor)
        for each in said.payouts:
            self._sum(_payout(each, said.currency), -each.paid_minor)

    def _proofs(self) -> None:
        if not self._statement.proofs:
            return
        self._down()
        self._text(_LEFT, "核算摘要（随时可由冻结的数据重算，结果一致）", _SMALL)
        self._down(12)
        for each in self._statement.proofs:
            self._text(_LEFT + 10, _proof(each), _SMALL)
            self._down(12)

    def _heading(self, title: str, amount_minor: int) -> None:
        self._down(6)
        self._rule()
        self._sum(title, amount_minor, size=10.5)

    def _sum(self, title: str, amount_minor: int, *, size: float = _SIZE) -> None:
        lines = list(_wrapped(title, _RIGHT - _LEFT - 110, size))
        self._text(_RIGHT, major_from_minor(amount_minor, self._statement.currency), size, right=True)
        for line in lines:
            self._text(_LEFT, line, size)
            self._down()

    def _rule(self) -> None:
        self._canvas.setLineWidth(0.4)
        self._canvas.line(_LEFT, self._y + 0.8 * _LINE, _RIGHT, self._y + 0.8 * _LINE)

    def _text(self, x: float, text: str, size: float = _SIZE, *, right: bool = False) -> None:
        self._canvas.setFont(FONT, size)
        (self._canvas.drawRightString if right else self._canvas.drawString)(x, self._y, text)

    def _down(self, by: float = _LINE) -> None:
        self._y -= by
        if self._y < _BOTTOM:
            self._foot()
            self._canvas.showPage()
            self._page += 1
            self._y = _TOP

    def _foot(self) -> None:
        self._canvas.setFont(FONT, _SMALL)
        self._canvas.drawRightString(_RIGHT, _BOTTOM - 24, f"{self._statement.payee}　第 {self._page} 页")


def _payout(line: PayoutLine, currency: str) -> str:
    rail, state = _RAILS.get(line.rail, line.rail), _STATES.get(line.state, line.state)
    amount = major_from_minor(line.amount_minor, currency)
    if line.state == "part":
        rest = major_from_minor(line.amount_minor - line.paid_minor, currency)
        state = f"{state}：计划 {amount}，其余 {rest} 已退回余额"
    elif not line.paid_minor:
        state = f"{state}（{amount}）"
    return f"　{line.day} {rail} {line.number}　{state}"


def _proof(proof: Proof) -> str:
    return f"{proof.scheme} {proof.version}　{proof.period_start} 起账期　{proof.digest}"


def _wrapped(text: str, width: float, size: float) -> Iterator[str]:
    """The text in lines that are not wider."""
    line = ""
    for character in text:
        if line and pdfmetrics.stringWidth(line + character, FONT, size) > width:
            yield line
            line = ""
        line += character
    yield line
