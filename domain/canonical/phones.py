"""Phone numbers in the one form that can be compared: E.164."""

from functools import lru_cache

import phonenumbers

HOME_REGION = "CN"
_LONGEST = 32


@lru_cache(maxsize=65_536)
def e164(text: str, region: str = HOME_REGION) -> str | None:
    """A number as `+8613800138000`; None when it is none, or hidden (`138****8000`).

    `region` is assumed where the number has no country code. Source: ITU-T E.164, by libphonenumber's metadata.
    """
    if len(text) > _LONGEST or "*" in text:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
