"""The catalog as this installation has it, without waiting for connectors that nobody brought."""

from importlib.metadata import entry_points

from domain.calls import Catalog
from domain.catalog import CATALOG


def whole_catalog() -> Catalog:
    """Every call, those of installed wheels included; raises ConfigurationProblem that names a broken wheel."""
    # Loading connectors loads an HTTP client: half a second that checking a file need not wait for.
    if entry_points(group="tandem.connectors"):
        from connectors.loading import load_connectors

        load_connectors(CATALOG)
    return CATALOG
