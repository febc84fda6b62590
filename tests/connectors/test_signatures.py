"""Signers and ciphers against the platforms' published samples."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.accounts import Account
from connectors.callback_crypto import CallbackCipher, callback_signature
from connectors.webhooks import UNPARSED_KIND, WebhookRequest
from connectors.youzan.pushes import body_sign, event_sign
from domain.problems import AuthenticationProblem, ConfigurationProblem, ProblemError
from tests.connectors.harness import connector

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
SAMPLE = VECTORS["wecom_url_verify"]


def test_the_callback_signature_is_the_published_one() -> None:
    signature = callback_signature(SAMPLE["token"], SAMPLE["timestamp"], SAMPLE["nonce"], SAMPLE["encrypt"])
    assert signature == SAMPLE["msg_signature"]


def test_the_published_ciphertext_opens() -> None:
    cipher = CallbackCipher(SAMPLE["aes_key"], SAMPLE["receiveid"])
    assert cipher.open(SAMPLE["encrypt"]) == SAMPLE["plaintext"].encode()


def test_sealing_gives_the_published_ciphertext() -> None:
    sample = VECTORS["oa_encrypt"]
    cipher = CallbackCipher(sample["aes_key"], sample["appid"])
    assert cipher.seal(sample["msg"].encode(), sample["random16"].encode()) == sample["encrypt"]


def test_another_receiver_cannot_open_it() -> None:
    with pytest.raises(AuthenticationProblem):
        CallbackCipher(SAMPLE["aes_key"], "wx0000000000000000").open(SAMPLE["encrypt"])


@pytest.mark.parametrize("key", ["", "short", "!" * 43, SAMPLE["aes_key"][:42]])
def test_an_impossible_key_is_a_setting_to_correct(key: str) -> None:
    with pytest.raises(ConfigurationProblem, match="EncodingAESKey"):
        CallbackCipher(key, "corp")


@given(message=st.binary(max_size=300), salt=st.binary(min_size=16, max_size=16))
def test_whatever_is_sealed_opens_again(message: bytes, salt: bytes) -> None:
    cipher = CallbackCipher(SAMPLE["aes_key"], "corp")
    assert cipher.open(cipher.seal(message, salt)) == message


@given(noise=st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.hex()))
def test_noise_is_not_ours_and_nothing_worse(noise: str) -> None:
    with pytest.raises(AuthenticationProblem):
        CallbackCipher(SAMPLE["aes_key"], "corp").open(noise)


def test_the_address_check_of_the_documentation_is_answered_with_the_echo() -> None:
    account = Account(
        "wecom",
        "corp",
        {
            "corp_id": SAMPLE["receiveid"],
            "contact_secret": "s",
            "token": SAMPLE["token"],
            "encoding_aes_key": SAMPLE["aes_key"],
        },
    )
    query = {name: SAMPLE[name] for name in ("msg_signature", "timestamp", "nonce")} | {"echostr": SAMPLE["encrypt"]}
    request = WebhookRequest("GET", query, {}, b"", datetime.fromtimestamp(int(SAMPLE["timestamp"]), UTC))
    verified = connector("wecom").verify(request, account)
    answer = connector("wecom").acknowledge(verified, account)
    assert (answer.status, answer.body) == (200, SAMPLE["plaintext"].encode())


def test_youzan_signs_header_and_body_as_documented() -> None:
    push = VECTORS["youzan_push"]
    assert event_sign(push["client_id"], push["body"].encode(), push["client_secret"]) == push["event_sign"]
    assert body_sign(push["client_id"], push["msg"], push["client_secret"]) == push["body_sign"]


def _youzan(**settings: Any) -> Account:
    push = VECTORS["youzan_push"]
    known = {"client_id": push["client_id"], "client_secret": push["client_secret"], "kdt_id": 43000101}
    return Account("youzan", "shop", {**known, **settings})


def _push(body: dict[str, Any], **headers: str) -> WebhookRequest:
    raw = json.dumps(body, ensure_ascii=False).encode()
    return WebhookRequest("POST", {}, headers, raw, datetime(2026, 11, 23, 2, tzinfo=UTC))


def _older(**change: Any) -> dict[str, Any]:
    push = VECTORS["youzan_push"]
    return {**json.loads(push["body"]), "sign": push["body_sign"], **change}


def test_an_older_push_is_believed_by_the_signature_in_its_body_only_where_that_is_wanted() -> None:
    believing = _youzan(accept_body_sign=True)
    assert connector("youzan").verify(_push(_older()), believing).kind == "trade_refund_BuyerCreated"
    with pytest.raises(AuthenticationProblem, match="accept_body_sign"):
        connector("youzan").verify(_push(_older()), _youzan())


def test_an_older_push_is_known_by_what_is_signed_of_it() -> None:
    believing = _youzan(accept_body_sign=True)
    first = connector("youzan").verify(_push(_older()), believing).dedupe_key
    replayed = _older(msg_id="another", id="another", version=10**17)
    assert connector("youzan").verify(_push(replayed), believing).dedupe_key == first


def test_a_right_body_signature_does_not_excuse_a_wrong_header() -> None:
    with pytest.raises(AuthenticationProblem):
        connector("youzan").verify(_push(_older(), **{"event-sign": "0" * 32}), _youzan(accept_body_sign=True))


@pytest.mark.parametrize("sign", [None, "", 1, ["x"], "é" * 32, "0" * 32])
def test_an_older_push_without_a_right_signature_is_refused(sign: Any) -> None:
    with pytest.raises(AuthenticationProblem):
        connector("youzan").verify(_push(_older(sign=sign)), _youzan(accept_body_sign=True))


@given(body=st.binary(max_size=400).filter(lambda body: not body.strip().startswith(b"{")))
@example(b"")
@example(b"[{}]")
def test_no_body_crashes_the_verification(body: bytes) -> None:
    push = VECTORS["youzan_push"]
    signed = {"event-sign": event_sign(push["client_id"], body, push["client_secret"])}
    request = WebhookRequest("POST", {}, signed, body, datetime(2026, 11, 23, 2, tzinfo=UTC))
    kept = connector("youzan").verify(request, _youzan())
    assert (kept.kind, kept.payload) == (UNPARSED_KIND, body)
    with pytest.raises(ProblemError):
        connector("youzan").verify(replace(request, headers={}), _youzan(accept_body_sign=True))
