"""Settlement: what a payee earned, exact to the smallest unit, from rules that finance can read."""
