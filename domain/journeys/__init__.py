"""Reaching customers: at the right time, and not too often."""
