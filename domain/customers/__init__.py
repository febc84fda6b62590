"""Customers: whose records are whose, and what follows from them."""
