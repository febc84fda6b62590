"""Who may publish which events: a caller with a narrow data scope speaks for the accounts within it, and for no other.

An event makes runs start and go on, and a flow that a shop's event starts acts for the account that the event names. So
it is not enough that a source lies within the scope: what looks like the word of a platform, or of Tandem itself, must
be about that account too.
"""

from domain.access import Actor
from domain.events import Event
from domain.organisation import Placement, is_account_id
from domain.problems import AuthorizationProblem, Text

PLATFORM_EVENTS = "tandem."
LIFECYCLE_EVENTS = "io.serverlessworkflow."

_OWN_SOURCE = "/tandem/"


def account_of(source: str) -> str | None:
    """The account in the source of a platform's event: `/youzan/flagship` is `youzan/flagship`."""
    account = source.removeprefix("/")
    return account if source.startswith("/") and not source.startswith(_OWN_SOURCE) and is_account_id(account) else None


def require_right_to_publish(actor: Actor, event: Event, place: Placement | None) -> None:
    """Raises AuthorizationProblem, with the rule, unless the actor may publish this event.

    place: where the account of its source belongs, None when it names none.
    """
    if actor.scope.kind == "everything":
        return
    if place is None:
        raise _refused(
            event,
            Text(
                f"来源 {event.source} 不属于任何账号，只有数据范围为“全部”的用户可以发布；"
                "请以 /平台/账号 为来源，如 /youzan/flagship",
                f"The source {event.source} is no account's: only who sees everything publishes from it. "
                "Use /platform/account, such as /youzan/flagship",
            ),
        )
    if not actor.sees(place):
        raise _refused(
            event,
            Text(f"来源 {event.source} 不在您的数据范围内", f"The source {event.source} is not within your data scope"),
        )
    if event.type.startswith(LIFECYCLE_EVENTS):
        raise _refused(
            event,
            Text(
                f"{event.type} 是运行自己发布的，只有数据范围为“全部”的用户可以代发",
                f"Runs themselves say {event.type}: only who sees everything publishes it for them",
            ),
        )
    if event.type.startswith(PLATFORM_EVENTS) and _account_in(event) != place.account_id:
        raise _refused(
            event,
            Text(
                f"{event.type} 的 data.platform 与 data.account 应与来源 {event.source} 是同一个账号",
                f"data.platform and data.account of {event.type} must name the account of its source, {event.source}",
            ),
        )


def _account_in(event: Event) -> str:
    data = event.data if isinstance(event.data, dict) else {}
    return f"{data.get('platform')}/{data.get('account')}"


def _refused(event: Event, text: Text) -> AuthorizationProblem:
    return AuthorizationProblem(text, rule="data-scope", source=event.source, event=event.id)
