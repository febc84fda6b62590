"""Proofs on the whole system, run by hand: `make chaos` kills its servers, `make gray` releases under load."""
