"""Customers: whose keys belong together, and which customer that is."""
