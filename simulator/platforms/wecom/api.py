"""What WeCom offers under /cgi-bin: the method and the handler of each call."""

from __future__ import annotations

from simulator.platforms.wecom import contacts, messages, tags
from simulator.platforms.wecom.calls import Handler

UNVERIFIED = frozenset(
    {
        "errcode 84061 for a unionid that no contact has",
        "errcode 41048 when none of the customers can be reached",
    }
)

"""[U]: answers whose code no document at hand confirms."""

APIS: dict[str, tuple[str, Handler]] = {
    "externalcontact/get": ("GET", contacts.contact_get),
    "externalcontact/list": ("GET", contacts.contact_list),
    "externalcontact/get_follow_user_list": ("GET", contacts.follow_user_list),
    "externalcontact/batch/get_by_user": ("POST", contacts.batch_get_by_user),
    "externalcontact/unionid_to_external_userid": ("POST", contacts.unionid_to_external_userid),
    "idconvert/unionid_to_external_userid": ("POST", contacts.unionid_to_external_userid),
    "externalcontact/add_msg_template": ("POST", messages.add_msg_template),
    "externalcontact/get_groupmsg_list_v2": ("POST", messages.groupmsg_list_v2),
    "externalcontact/get_groupmsg_task": ("POST", messages.groupmsg_task),
    "externalcontact/get_groupmsg_send_result": ("POST", messages.groupmsg_send_result),
    "externalcontact/send_welcome_msg": ("POST", messages.send_welcome_msg),
    "externalcontact/get_corp_tag_list": ("POST", tags.corp_tag_list),
    "externalcontact/add_corp_tag": ("POST", tags.add_corp_tag),
    "externalcontact/mark_tag": ("POST", tags.mark_tag),
    "message/send": ("POST", messages.message_send),
}
