"""`tandem settle …`: settlement and payouts, one group of commands."""

from commands import payouts
from commands.settlement import settle

__all__ = ["payouts", "settle"]
