"""Logging in, being somebody, logging out."""

from tests.actors import PASSWORD
from tests.api.house import House, problem


async def test_a_login_gives_a_token_that_works_until_logging_out(house: House) -> None:
    login = await house.post(None, "/api/v1/session", {"login": "ops", "password": PASSWORD})
    assert login.status_code == 201, login.text
    headers = {"Authorization": f"Bearer {login.json()['token']}"}
    caller = await house.get(None, "/api/v1/session", headers=headers)
    assert caller.json()["login"] == "ops"
    assert "definitions.publish" in caller.json()["permissions"]
    shouted = {"Authorization": f"BEARER {login.json()['token']}"}
    assert (await house.get(None, "/api/v1/session", headers=shouted)).status_code == 200, "RFC 9110, 11.1"
    assert (await house.say(None, "DELETE", "/api/v1/session", headers=headers)).status_code == 204
    assert (await house.get(None, "/api/v1/session", headers=headers)).status_code == 401


async def test_wrong_password_and_unknown_login_get_the_same_answer(house: House) -> None:
    wrong = await house.post(None, "/api/v1/session", {"login": "ops", "password": "not the password"})
    unknown = await house.post(None, "/api/v1/session", {"login": "nobody", "password": "not the password"})
    assert wrong.status_code == unknown.status_code == 401
    assert problem(wrong)["message"] == problem(unknown)["message"]
    assert wrong.headers["www-authenticate"] == "Bearer"
