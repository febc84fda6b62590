"""A merchant's keys in the hands of `wechatpayv3`: whatever is signed, verified, opened or sealed is done by it.

The library's own client is not used: it calls one fixed address, waits without end and reads answers of any size. Its
functions are; the dependency is pinned to the version they were read in.
"""

import binascii
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from wechatpayv3.utils import (
    aes_decrypt,
    build_authorization,
    load_private_key,
    load_public_key,
    rsa_encrypt,
    rsa_verify,
)

from connectors.accounts import Account
from connectors.errors import wrong_setting
from connectors.webhooks import Refusal
from connectors.wechat_pay.settings import WechatPaySettings
from domain.problems import AuthenticationProblem, Text, ValidationProblem

PLATFORM = "wechat_pay"
ALGORITHM = "WECHATPAY2-SHA256-RSA2048"
CIPHER = "AEAD_AES_256_GCM"


class MerchantKeys:
    """Raises ConfigurationProblem for a key that is none."""

    def __init__(self, settings: WechatPaySettings) -> None:
        self._settings = settings
        self._private_key = _loaded("private_key", load_private_key, settings.private_key.get_secret_value())
        self._public_key = _loaded("public_key", load_public_key, settings.public_key)

    def authorization(self, method: str, target: str, body: str) -> str:
        """The `Authorization` header; target: the path with its query. Time and nonce are of now."""
        header: str = build_authorization(
            target, method, self._settings.mch_id, self._settings.serial_no, self._private_key, data=body
        )
        return header

    def check(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises AuthenticationProblem unless the platform signed this answer or notice. Header names: lower-case."""
        kind = headers.get("wechatpay-signature-type", ALGORITHM)
        if kind != ALGORITHM or headers.get("wechatpay-serial") != self._settings.public_key_id:
            raise _not_theirs()
        try:
            text = body.decode()
            good = rsa_verify(
                headers.get("wechatpay-timestamp", ""),
                headers.get("wechatpay-nonce", ""),
                text,
                headers.get("wechatpay-signature", ""),
                self._public_key,
            )
        except (UnicodeDecodeError, binascii.Error, ValueError):
            good = False
        if good is not True:
            raise _not_theirs()

    def open(self, resource: Mapping[str, Any]) -> bytes:
        """The contents of a notice. Raises AuthenticationProblem when it was not sealed with our apiv3_key."""
        parts = [resource.get(name) for name in ("nonce", "ciphertext", "associated_data")]
        nonce, ciphertext, context = (part if isinstance(part, str) else "" for part in parts)
        plain: str | None = None
        if resource.get("algorithm") == CIPHER:
            try:
                plain = aes_decrypt(nonce, ciphertext, context, self._settings.apiv3_key.get_secret_value())
            except (binascii.Error, ValueError):
                plain = None
        if plain is None:
            raise AuthenticationProblem(
                Text(
                    "通知内容无法用本商户的 apiv3_key 解开，请核对账号设置",
                    "The notice cannot be opened with this merchant's apiv3_key; check the account's settings",
                ),
                retryable=False,
                reason=Refusal.RECEIVER,
            )
        return plain.encode()

    def seal(self, text: str) -> str:
        """Personal data for the platform's eyes only. Raises ValidationProblem when it is too long to be sealed."""
        try:
            sealed: str = rsa_encrypt(text, self._public_key)
        except ValueError:
            raise ValidationProblem(
                Text("姓名或名称太长，无法加密后提交给微信支付", "A name is too long to be sealed for WeChat Pay"),
                platform=PLATFORM,
                retryable=False,
                outcome="not_done",
            ) from None
        return sealed


@lru_cache(maxsize=64)
def _loaded(name: str, load: Callable[[str], Any], value: str) -> Any:
    """The key; kept, because checking a private one takes a tenth of a second and every call and notice needs it."""
    try:
        return load(value)
    except Exception:  # the library raises nothing finer
        raise wrong_setting(
            PLATFORM,
            Text(
                f"{name} 不是有效的 PEM 密钥，请在账号设置中更正", f"{name} is no PEM key; correct it in the settings"
            ),
        ) from None


def _not_theirs() -> AuthenticationProblem:
    return AuthenticationProblem(
        Text(
            "没有微信支付的签名，或签名与 public_key、public_key_id 不符，请核对这两项设置",
            "Not signed by WeChat Pay, or not by the public_key and public_key_id of the settings; check these two",
        ),
        retryable=False,
        reason=Refusal.SIGNATURE,
    )


def nobodys_account() -> Account:
    """A merchant with keys that nobody knows."""
    key = generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    values = {name: secrets.token_hex(8) for name in ("mch_id", "app_id", "serial_no", "public_key_id")}
    sealed = {"private_key": private.decode(), "apiv3_key": secrets.token_hex(16), "public_key": public.decode()}
    return Account(PLATFORM, "", {**values, **sealed})
