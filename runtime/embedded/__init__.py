"""The real PostgreSQL and the real Temporal server, from wheels, as children of this process."""

from runtime.embedded.postgres import EmbeddedPostgres
from runtime.embedded.temporal import EmbeddedTemporal

__all__ = ["EmbeddedPostgres", "EmbeddedTemporal"]
