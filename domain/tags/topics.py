"""What a chat is about, in a few words that say nothing about the person.

Chats are kept encrypted, so that no statement can look into them. When one comes in, its text is held against these
words and only the topics are kept in clear. Health, family and money troubles are not among them: such topics would be
sensitive personal information themselves (PIPL, article 28).
"""

import re
from collections.abc import Mapping

_WORDS: Mapping[str, str] = {
    "price": "优惠|折扣|打折|便宜|券|满减|活动价|降价|多少钱|太贵|discount|coupon|cheaper",
    "delivery": "发货|快递|物流|到货|几天到|没收到|deliver|shipping",
    "refund": "退款|退货|退钱|换货|refund|return it",
    "complaint": "投诉|差评|假货|骗人|太差|complain",
    "stock": "有货|没货|缺货|补货|断货|in stock",
    "usage": "怎么用|怎么吃|怎么装|说明书|教程|how to use",
}
TOPICS: Mapping[str, re.Pattern[str]] = {topic: re.compile(words, re.IGNORECASE) for topic, words in _WORDS.items()}
LONGEST_TEXT = 4_000
"""How much of a message is looked at, in characters."""


def topics_of(text: str | None) -> list[str]:
    """The topics of a message, in a fixed order; none for pictures and the like."""
    if not text:
        return []
    return [topic for topic, words in TOPICS.items() if words.search(text[:LONGEST_TEXT])]
