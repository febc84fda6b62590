"""The example that wheels are copied from puts aside what is in a state that it does not know."""

import json
from datetime import UTC, datetime
from importlib import import_module

import pytest

from connectors.accounts import Account
from connectors.webhooks import Verified
from domain.problems import ValidationProblem
from tests.documents import ROOT

ACCOUNT = Account("bazaar", "shop", {})


def test_a_state_that_is_new_is_refused_by_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "examples" / "connector-wheel"))
    pushes = import_module("tandem_bazaar.pushes")
    order = {"number": "B1", "revision": 1, "state": "paid", "fen": 9900}

    def told(**change: str) -> str:
        payload = json.dumps({"kind": "order", "order": {**order, **change}}).encode()
        (event,) = pushes.push_events(Verified("order", payload, "key", datetime.now(UTC)), ACCOUNT)
        return str(event.data["status"])

    assert told() == "paid"
    with pytest.raises(ValidationProblem, match="abducted") as error:
        told(state="abducted")
    assert error.value.problem.as_dict()["field"] == "state"
