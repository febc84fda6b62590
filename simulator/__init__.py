"""The outside world: the shops' and chat platforms' HTTP contracts, with seeded shops behind them.

A separate program (`python -m simulator`) that imports nothing of Tandem.
"""
