"""A drill: settlements and payouts while the rail fails, payees refuse and servers die."""
