"""What Tandem must be told about a Youzan shop."""

from pydantic import Field, SecretStr

from connectors.accounts import AccountSettings

BASE_URL = "https://open.youzanyun.com"


class YouzanSettings(AccountSettings):
    """One shop and the application that acts for it.

    refresh_token: only for tool applications, from the shop's authorisation; without it tokens are fetched silently, as
    a shop's own application may. accept_body_sign: also believe older pushes, without `Event-Sign`, whose signature
    covers the message alone: whoever has seen one can give it another type, number, version or shop. live_coupons:
    numbers of the coupon groups that are given out in live rooms, which pushes do not tell.
    """

    client_id: str = Field(min_length=1, max_length=64)
    client_secret: SecretStr = Field(min_length=1)
    kdt_id: int = Field(gt=0)
    refresh_token: SecretStr | None = None
    accept_body_sign: bool = False
    live_coupons: tuple[str, ...] = Field(default=(), max_length=1_000)
    base_url: str = Field(default=BASE_URL, pattern=r"^https?://[^\s?#]+$")
