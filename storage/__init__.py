"""PostgreSQL: one file per aggregate, tables and repository together; every query lives here.

How to add an aggregate, say `Coupon`:

1. The rules and the value that callers see go to `domain/coupons.py` (a frozen pydantic model with
   `from_attributes`, validated there).
2. `storage/coupons.py` holds the table and its repository::

       class CouponRow(ScopedColumns, Table, table=True):       # ScopedColumns: only if people see rows by data scope
           __tablename__ = "coupons"
           id: UUID = identifier()
           code: str = Field(unique=True)
           phone: str = Field(sa_type=EncryptedText("coupons.phone"))   # personal data, always "table.column"
           created_at: datetime = instant()

       class Coupons(Repository):
           async def add(self, coupon: NewCoupon) -> Coupon:
               row = CouponRow(**coupon.model_dump(), created_at=self.now)
               with refused("uq_coupons_code", ConflictProblem(Text(...))):
                   await self.insert(row)
               return Coupon.model_validate(row)

           async def list(self, scope: Scope, page: PageRequest) -> Page[Coupon]:
               statement = select(CouponRow).where(visible(CouponRow, scope))
               return await paginate(self.session, statement, _NEWEST_FIRST, page, Coupon.model_validate)

3. `storage/migrations/versions/NNNN_coupons.py` is written by hand, `down_revision` is the newest one before it, and
   `tests/storage/test_migrations.py` compares the result with the tables. Grants need no line: see `migrations`.
4. A service opens the transaction, and nobody calls `commit()`::

       async with UnitOfWork(database) as work:
           coupon = await Coupons(work).add(new)
           await AuditLog(work).record(actor, "coupon.create", f"coupon:{coupon.id}")
"""
