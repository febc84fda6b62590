"""`tandem settle …`: settlement and payouts, one group of commands."""

from commands import payouts, settlement_explain
from commands.settlement import settle

__all__ = ["payouts", "settle", "settlement_explain"]
