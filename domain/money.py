"""Money: integer minor units and a currency, never a float."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from domain.problems import Text, ValidationProblem

# What is paid in somewhere (ISO 4217), by how many digits its smallest unit has.
_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_HUNDREDTHS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC
CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES
KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT
TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW
"""
_EXPONENTS = dict.fromkeys(_WHOLE.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3)
CURRENCIES = frozenset((*_HUNDREDTHS.split(), *_EXPONENTS))
"""Those whose smallest unit is known."""

HOME_CURRENCY = "CNY"
"""The merchant's own: what amounts are of unless something names another currency."""

_PLAIN_DECIMAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,10})?")


def _refuse_fractions(value: Any) -> Any:
    if isinstance(value, (float, bool)):
        raise ValueError("金额应为整数（分） · money is an integer of minor units (fen), not a fraction")
    return value


AmountMinor = Annotated[int, BeforeValidator(_refuse_fractions)]


class Money(BaseModel):
    """An amount in minor units (fen, cents) of a currency (ISO 4217)."""

    model_config = ConfigDict(frozen=True)

    amount_minor: AmountMinor
    currency: str = Field(default=HOME_CURRENCY, pattern=r"^[A-Z]{3}$")


def minor_from_major(text: str, currency: str = HOME_CURRENCY) -> int:
    """Minor units of a plain decimal in major units (`"299.00"` → 29900), up to a quadrillion.

    Raises ValidationProblem when it is no such number, or finer than the currency's smallest unit.
    """
    plain = _PLAIN_DECIMAL.fullmatch(text.strip())
    scaled = Decimal(plain[0]).scaleb(_EXPONENTS.get(currency, 2)) if plain else None
    if scaled is None or scaled != scaled.to_integral_value():
        raise ValidationProblem(
            Text(f"金额“{text[:40]}”不是有效的{currency}金额", f"“{text[:40]}” is not an amount of {currency}"),
            value=text[:40],
        )
    return int(scaled)


def minor_rate(rate: Decimal, currency: str) -> tuple[int, int]:
    """What a minor unit of a currency is in minor units of the merchant's own, as numerator and denominator.

    rate: units of the merchant's currency for one unit of it.
    """
    return per_minor(rate, currency).as_integer_ratio()


def per_minor(rate: Decimal, currency: str) -> Decimal:
    """As `minor_rate`, as a decimal."""
    return rate.scaleb(_EXPONENTS.get(HOME_CURRENCY, 2) - _EXPONENTS.get(currency, 2))


def major_from_minor(amount_minor: int, currency: str = HOME_CURRENCY) -> str:
    """The decimal string in major units (29900 → `"299.00"`)."""
    exponent = _EXPONENTS.get(currency, 2)
    return str(Decimal(amount_minor).scaleb(-exponent).quantize(Decimal(1).scaleb(-exponent)))
