"""Money: integer minor units and a currency, never a float."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from domain.problems import Text, ValidationProblem

# ISO 4217 exponents that differ from 2, for the currencies Chinese cross-border shops settle in.
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3}


def _refuse_fractions(value: Any) -> Any:
    if isinstance(value, (float, bool)):
        raise ValueError("money is an integer of minor units (分), not a fraction")
    return value


AmountMinor = Annotated[int, BeforeValidator(_refuse_fractions)]


class Money(BaseModel):
    """An amount in minor units (fen, cents) of a currency (ISO 4217)."""

    model_config = ConfigDict(frozen=True)

    amount_minor: AmountMinor
    currency: str = Field(default="CNY", pattern=r"^[A-Z]{3}$")


def minor_from_major(text: str, currency: str = "CNY") -> int:
    """Minor units of a decimal string in major units (`"299.00"` → 29900).

    Raises ValidationProblem when it is no number or is finer than the currency's smallest unit.
    """
    exponent = _EXPONENTS.get(currency, 2)
    try:
        scaled = Decimal(text.strip()).scaleb(exponent)
        exact = scaled == scaled.to_integral_value()
    except InvalidOperation:
        exact = False
    if not exact:
        raise ValidationProblem(
            Text(f"金额“{text}”不是有效的{currency}金额", f"“{text}” is not an amount of {currency}"), value=text
        )
    return int(scaled)


def major_from_minor(amount_minor: int, currency: str = "CNY") -> str:
    """The decimal string in major units (29900 → `"299.00"`)."""
    exponent = _EXPONENTS.get(currency, 2)
    return str(Decimal(amount_minor).scaleb(-exponent).quantize(Decimal(1).scaleb(-exponent)))
