"""Bills as they are downloaded: packed by gzip, a tenth as large.

Source: pay.weixin.qq.com, `tar_type` of bills; the digest is of what is packed [O].
"""

import zlib

from connectors.wechat_pay.keys import PLATFORM
from domain.problems import CommunicationProblem, Text

MOST_UNPACKED = 268_435_456
"""Bytes of a file, some 600,000 rows of a bill."""
_GZIP = b"\x1f\x8b"


def unpacked(content: bytes, largest: int = MOST_UNPACKED) -> bytes:
    """What a file holds that is packed; any other as it is.

    Raises CommunicationProblem: retryable for one that is damaged, else when it holds more than `largest` bytes.
    """
    if not content.startswith(_GZIP):
        return content
    plain, left = bytearray(), content
    while left:
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain += member.decompress(left, largest + 1 - len(plain))
        except zlib.error:
            raise _damaged() from None
        if len(plain) > largest:
            raise CommunicationProblem(
                Text(
                    f"账单解压后超过 {largest >> 20} MB，不能对账；请由几个商户号分别收款",
                    f"The bill holds more than {largest >> 20} MB and cannot be reconciled: let several merchants "
                    "collect",
                ),
                platform=PLATFORM,
                retryable=False,
                outcome="not_done",
            )
        if not member.eof:
            raise _damaged()
        left = member.unused_data
    return bytes(plain)


def fetched_again(why: Text) -> CommunicationProblem:
    """For a bill's file that is not what it should be: another download may bring it whole."""
    return CommunicationProblem(why, platform=PLATFORM, retryable=True, outcome="not_done", retry_after_s=5.0)


def _damaged() -> CommunicationProblem:
    return fetched_again(Text("账单文件不完整，将重新下载", "The bill's file is damaged; it is fetched again"))
