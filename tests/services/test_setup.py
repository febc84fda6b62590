"""The demo's accounts: what a platform calls a secret is stored as one."""

from connectors.accounts import secret_fields
from connectors.loading import load_connectors
from domain.calls import Catalog
from services.setup import _SECRET_FIELDS


def test_no_secret_of_any_platform_is_stored_in_clear() -> None:
    secrets = {name for connector in load_connectors(Catalog()).values() for name in secret_fields(connector.settings)}
    assert secrets - _SECRET_FIELDS == set()
