"""Orders, their lines, their refunds and parcels: the newest state that a platform told.

Every row keeps the `version` it was told in, and of what that telling left out the older one (`gap_versions`); an older
telling never overwrites a newer one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, col

from storage.encryption import EncryptedJson
from storage.scoping import ScopedColumns
from storage.tables import Table, gap_versions, instant, text_or_none, tie

NO_LINES = -(2**63)
"""How new the articles are of an order that nobody told any of."""


def _number() -> Any:
    return Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=[Identity(always=True)])


def _of_identity() -> Any:
    return Field(default=None, sa_type=BigInteger, sa_column_args=[ForeignKey("identities.id")])


def _minor(default: int | None = None) -> Any:
    return Field(default=default, sa_type=BigInteger)


OrderName = tuple[str, str]
"""Account and number of an order."""


class OrderRow(ScopedColumns, Table, table=True):
    """One order. identity_id: the strongest key it names its buyer by. refunded_minor: what went back so far.

    version: of the newest status; detail_version: of the newest telling that came with its amounts; lines_version: of
    the articles. Below zero: of a telling that came without (`domain.customers.records`).
    buyer, receiver: their data as the platform gave it, mostly ciphertext. told_at: the record's own time. names: the
    digest of the buyer's nickname (`storage.nickname_digests`).
    """

    __tablename__ = "orders"
    id: int = _number()
    order_id: str
    identity_id: int | None = _of_identity()
    version: int = Field(sa_type=BigInteger)
    version_tie: int = tie()
    detail_version: int = Field(sa_type=BigInteger)
    detail_version_tie: int = tie()
    lines_version: int = Field(default=NO_LINES, sa_type=BigInteger, sa_column_kwargs={"server_default": str(NO_LINES)})
    lines_version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    status: str
    currency: str = "CNY"
    paid_minor: int | None = _minor()
    postage_minor: int | None = _minor()
    discount_minor: int | None = _minor()
    refunded_minor: int = _minor(0)
    created_at: datetime | None = instant(optional=True)
    paid_at: datetime | None = instant(optional=True)
    shipped_at: datetime | None = instant(optional=True)
    completed_at: datetime | None = instant(optional=True)
    told_at: datetime = instant()
    recorded_at: datetime = instant()
    parent_order_id: str | None = None
    group_id: str | None = None
    channel: str | None = text_or_none()
    influencer_id: str | None = text_or_none()
    video_id: str | None = text_or_none()
    membership: str | None = None
    dining: str | None = None
    province: str | None = None
    city: str | None = None
    close_reason: str | None = None
    coupon_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    buyer: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("orders.buyer"), nullable=True)
    receiver: dict[str, Any] | None = Field(default=None, sa_type=EncryptedJson("orders.receiver"), nullable=True)
    names: list[bytes] | None = Field(default=None, sa_type=ARRAY(LargeBinary), nullable=True)

    __table_args__ = (
        UniqueConstraint("account_id", "order_id"),
        Index("ix_orders_identity_id_told_at", "identity_id", "told_at"),
        Index("ix_orders_order_id", "order_id"),
        Index("ix_orders_names", "names", postgresql_using="gin", postgresql_where=text("names IS NOT NULL")),
        Index(
            "ix_orders_abroad",
            "currency",
            text("coalesce(paid_at, created_at, told_at)"),
            postgresql_where=text("currency <> 'CNY'"),
        ),
        Index("ix_orders_account_id_paid_at", "account_id", "paid_at", postgresql_where=text("paid_at IS NOT NULL")),
    )


class OrderLineRow(Table, table=True):
    """One article of an order. category: see `storage.order_lines`."""

    __tablename__ = "order_lines"
    order_key: int = Field(
        primary_key=True, sa_type=BigInteger, sa_column_args=[ForeignKey("orders.id", ondelete="CASCADE")]
    )
    line_id: str = Field(primary_key=True)
    item_id: str | None = None
    sku_id: str | None = None
    title: str
    sku: str | None = None
    category: str | None = None
    quantity: int
    price_minor: int = _minor()
    total_minor: int = _minor()

    __table_args__ = (Index("ix_order_lines_item_id_order_key", "item_id", "order_key"),)


class RefundRow(ScopedColumns, Table, table=True):
    """One refund. identity_id: its own buyer's key, else the order's. currency: NULL is the order's. Versions: see
    `OrderRow`.

    unsettled: its order was not here with its buyer and its articles when the two were last held against each other.
    """

    __tablename__ = "refunds"
    id: int = _number()
    refund_id: str
    order_id: str
    identity_id: int | None = _of_identity()
    version: int = Field(sa_type=BigInteger)
    version_tie: int = tie()
    detail_version: int = Field(sa_type=BigInteger)
    detail_version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    status: str
    amount_minor: int | None = _minor()
    currency: str | None = None
    reason: str | None = None
    returns_goods: bool | None = None
    line_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text), nullable=False)
    requested_at: datetime | None = instant(optional=True)
    refunded_at: datetime | None = instant(optional=True)
    told_at: datetime = instant()
    recorded_at: datetime = instant()
    unsettled: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})

    __table_args__ = (
        UniqueConstraint("account_id", "refund_id"),
        Index("ix_refunds_identity_id_told_at", "identity_id", "told_at"),
        Index("ix_refunds_account_id_order_id", "account_id", "order_id"),
        Index("ix_refunds_unsettled", "recorded_at", postgresql_where=text("unsettled")),
        Index(
            "ix_refunds_account_id_refunded_at",
            "account_id",
            "refunded_at",
            postgresql_where=text("refunded_at IS NOT NULL"),
        ),
    )


class ShipmentRow(ScopedColumns, Table, table=True):
    """One parcel to a buyer. order_account: of its order, NULL is the account that told it; see `shop_of_parcel`."""

    __tablename__ = "shipments"
    id: int = _number()
    waybill: str
    order_id: str
    order_account: str | None = None
    company: str | None = None
    state: str
    version: int = Field(sa_type=BigInteger)
    version_tie: int = tie()
    gap_versions: dict[str, Any] | None = gap_versions()
    told_at: datetime = instant()
    recorded_at: datetime = instant()

    __table_args__ = (
        UniqueConstraint("account_id", "waybill", "order_id"),
        Index("ix_shipments_of_orders", text("coalesce(order_account, account_id)"), "order_id"),
    )


def shop_of_parcel() -> ColumnElement[str]:
    """The account of a parcel's order: of what hangs on an order, together with `order_id`."""
    return func.coalesce(col(ShipmentRow.order_account), col(ShipmentRow.account_id))
