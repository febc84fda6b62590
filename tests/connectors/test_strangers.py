"""What comes for an account that nobody has is refused as if the account were there, with another secret."""

from dataclasses import replace

import pytest

from domain.problems import AuthenticationProblem
from tests.connectors.case import Case, Pushes
from tests.connectors.cases import PUSHING
from tests.connectors.harness import Outside, connector

OURS = [pair for pair in PUSHING if pair[0].platform in ("douyin", "official_account", "wechat_store", "wechat_pay")]


@pytest.mark.parametrize(("case", "pushes"), OURS, ids=[case.platform for case, _ in OURS])
async def test_nobodys_account_refuses_in_the_words_of_a_wrong_signature(
    world: Outside, case: Case, pushes: Pushes
) -> None:
    chosen = connector(case.platform)
    request, account = await pushes.send(world), await world.account(case.platform)
    nobody = chosen.nobody
    nobody.parse_settings(chosen.settings)
    with pytest.raises(AuthenticationProblem) as stranger:
        chosen.verify(request, nobody)
    headers = {
        name: "0" * 32 if "sign" in name and "type" not in name else value for name, value in request.headers.items()
    }
    query = {name: "0" * 40 if "signature" in name else value for name, value in request.query.items()}
    with pytest.raises(AuthenticationProblem) as forged:
        chosen.verify(replace(request, headers=headers, query=query), account)
    assert str(stranger.value) == str(forged.value)
    kind = chosen.verify(request, account).kind
    assert chosen.uses(kind) is True
    assert chosen.uses("something.new") is False
