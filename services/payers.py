"""Who pays: the merchant of each rail, chosen when payouts are asked for, and held to for as long as they last."""

from collections.abc import Mapping, Sequence

from connectors.accounts import Account as OpenAccount
from connectors.wechat_pay.keys import PLATFORM
from connectors.wechat_pay.settings import WechatPaySettings
from domain.access import Scope
from domain.accounts import Account
from domain.problems import ConflictProblem, NotFoundProblem, Text, ValidationProblem
from domain.settlement.payouts import RAILS, Payer, Rail
from services.connections import Connections
from storage.accounts import Accounts
from storage.paging import PageRequest
from storage.unit_of_work import UnitOfWork

BY_MERCHANT: tuple[Rail, ...] = ("wechat-pay", "profit-sharing")
"""Rails that a merchant connected here pays by."""
_MOST = 200


async def payers_of(
    work: UnitOfWork, rails: Sequence[Rail] | None, accounts: Mapping[Rail, str]
) -> tuple[Sequence[Rail], Mapping[Rail, Payer]]:
    """The rails that are paid by, and the merchant of each. rails: None for all that there are, which is without profit
    sharing where no merchant shares. accounts: slugs, needed where several could pay.

    :raises NotFoundProblem: nobody is connected who could pay, or not the one that is named.
    :raises ValidationProblem: several could pay and none is named, or the one that is named does not share.
    """
    page = await Accounts(work).list(Scope.everything(), PageRequest(_MOST), platform=PLATFORM)
    active = [each for each in page.items if each.active]
    chosen = list(dict.fromkeys(RAILS if rails is None else rails))
    if rails is None and "profit-sharing" not in accounts and not any(map(_shares, active)):
        chosen.remove("profit-sharing")
    return chosen, {rail: _payer(rail, active, accounts.get(rail)) for rail in chosen if rail in BY_MERCHANT}


async def open_account(connections: Connections, payer: Payer | None) -> OpenAccount:
    """The payer's account, of the merchant that it was of. Whatever this raises, no platform was asked.

    :raises NotFoundProblem: nobody was chosen to pay, or the account is disconnected.
    :raises ConflictProblem: it is another merchant's by now.
    """
    if payer is None:
        raise NotFoundProblem(
            Text(
                "这批付款没有记下由哪个商户号付出，无法查询",
                "It was not written down which merchant makes these payouts: nobody can be asked",
            ),
            retryable=False,
        )
    platform, _, slug = payer.account.partition("/")
    account = await connections.account(platform, slug)
    mch_id = account.parse_settings(WechatPaySettings).mch_id
    if mch_id != payer.mch_id:
        raise ConflictProblem(
            Text(
                f"账号 {payer.account} 的商户号由 {payer.mch_id} 变为 {mch_id}，不能代它付款或查询；请恢复原商户号",
                f"{payer.account} is of merchant {mch_id}, and these payouts are of {payer.mch_id}, which alone can be "
                "asked about them; connect that one again",
            ),
            retryable=False,
        )
    return account


def _payer(rail: Rail, active: Sequence[Account], named: str | None) -> Payer:
    able = [each for each in active if rail != "profit-sharing" or _shares(each)]
    if named is not None:
        able = [each for each in active if each.slug == named]
        if not able:
            raise NotFoundProblem(
                Text(
                    f"没有接入 {PLATFORM}/{named}，或它已停用，不能由它付款（{rail}）",
                    f"{PLATFORM}/{named} is not connected, or was disconnected: it cannot pay ({rail})",
                )
            )
    if not able:
        raise _nobody(rail)
    if len(able) > 1:
        names = ", ".join(each.slug for each in able)
        raise ValidationProblem(
            Text(
                f"{rail} 可由多个商户号付款（{names}），请用 accounts（命令行 --account）指明一个",
                f"Several merchants could pay by {rail} ({names}); name one by `accounts` (--account)",
            )
        )
    (account,) = able
    if rail == "profit-sharing" and not _shares(account):
        raise ValidationProblem(
            Text(
                f"{account.id} 没有开通分账（profit_sharing），不能由它分账付款",
                f"{account.id} does not share its payments (profit_sharing): nobody is paid by it that way",
            )
        )
    return Payer(account=account.id, mch_id=_mch_id(account))


def _nobody(rail: Rail) -> NotFoundProblem:
    if rail == "profit-sharing":
        return NotFoundProblem(
            Text(
                "没有开通分账（profit_sharing）的商户号，请去掉 profit-sharing 渠道",
                "No merchant with profit sharing is connected: leave that rail out",
            )
        )
    return NotFoundProblem(
        Text(
            "没有接入微信支付商户号：请先接入，或只用银行渠道（rails，命令行 --rail bank）",
            "No WeChat Pay merchant is connected: connect one, or pay by bank alone (`rails`, --rail bank)",
        )
    )


def _shares(account: Account) -> bool:
    return bool(account.settings.get("profit_sharing"))


def _mch_id(account: Account) -> str:
    found = account.settings.get("mch_id")
    if not isinstance(found, str) or not found:
        raise ValidationProblem(
            Text(
                f"账号 {account.id} 没有商户号（mch_id），请在账号设置中补全",
                f"{account.id} has no merchant number (mch_id): complete its settings",
            )
        )
    return found
