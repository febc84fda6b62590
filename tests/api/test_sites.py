"""The pixel over HTTP: an image for everybody, no cookie, nothing kept of who minds, and a bound on how many."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from api.deps import ApiSettings
from api.limits import Rates
from domain.accounts import NewAccount
from services.accounts import PlatformAccounts
from storage.unit_of_work import UnitOfWork
from tests.api.house import SYSTEM, House, problem

KEY = "site-key-0123456789"
PIXEL = f"/pixel/main.gif?key={KEY}"


async def connect(house: House, slug: str, **settings: Any) -> None:
    """A site that names itself by the key."""
    new = NewAccount(
        platform="site",
        slug=slug,
        name="Site",
        credentials={"signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        settings={"site_key": KEY, **settings},
    )
    await PlatformAccounts(house.database).connect(SYSTEM, new)


@pytest.fixture(scope="module")
async def site(house: House) -> House:
    await connect(house, "main")
    return house


async def stored(house: House) -> int:
    async with UnitOfWork(house.database) as work:
        return int(await work.session.scalar(text("SELECT count(*) FROM inbox WHERE platform = 'site'")) or 0)


async def test_a_page_view_is_an_image_and_one_record(site: House) -> None:
    before = await stored(site)
    answer = await site.get(None, f"{PIXEL}&name=page_view&id=1&device=d3adb33fd3ad")
    assert (answer.status_code, answer.headers["content-type"], answer.content[:6]) == (200, "image/gif", b"GIF89a")
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert (await site.get(None, f"{PIXEL}&name=page_view&id=1&device=d3adb33fd3ad")).status_code == 200
    assert await stored(site) == before + 1, "told twice, kept once"


async def test_a_beacon_may_be_plain_text(site: House) -> None:
    before = await stored(site)
    body = f'{{"key": "{KEY}", "events": [{{"name": "page_view"}}, {{"type": "cart", "id": "c1"}}]}}'
    answer = await site.say(
        None, "POST", "/collect/main", content=body, headers={"Content-Type": "text/plain;charset=UTF-8"}
    )
    assert answer.status_code == 200, answer.text
    assert await stored(site) == before + 1


async def test_nothing_is_kept_of_who_minds(site: House) -> None:
    before = await stored(site)
    answer = await site.get(None, PIXEL, headers={"DNT": "1"})
    assert (answer.status_code, answer.content[:6]) == (200, b"GIF89a")
    assert await stored(site) == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/pixel/nobody.gif?key={KEY}", 404),
        ("/pixel/main.gif?key=another-key-012345678", 401),
        ("/pixel/main.gif", 400),
        (f"{PIXEL}&member_id=M1", 400),
        (f"{PIXEL}&name=%00", 400),
        (f"{PIXEL}&name={'x' * 5000}", 400),
    ],
)
async def test_what_is_wrong_is_a_problem_and_never_a_bug(site: House, path: str, status: int) -> None:
    answer = await site.get(None, path)
    assert answer.status_code == status
    problem(answer)


@pytest.fixture(scope="module")
async def closed_site(house: House) -> House:
    await connect(house, "closed", origins=["https://shop.example"])
    return house


@pytest.mark.parametrize(
    "page", ["http://[", "https://[shop.example", "https://shop.example]", "http://\u2100".encode(), b"\xff", "null"]
)
@pytest.mark.parametrize("header", ["Origin", "Referer"])
async def test_an_address_of_a_page_that_is_none_is_none_of_the_site(
    closed_site: House, header: str, page: str | bytes
) -> None:
    before = await stored(closed_site)
    headers, body = {header: page}, f'{{"key": "{KEY}", "events": [{{"name": "page_view"}}]}}'
    answers = [
        await closed_site.say(None, "GET", f"/pixel/closed.gif?key={KEY}", headers=headers),
        await closed_site.say(None, "POST", "/collect/closed", content=body, headers=headers),
        await closed_site.say(None, "POST", "/hooks/site/closed", content=body, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 403]
    assert await stored(closed_site) == before
    good = await closed_site.say(
        None, "POST", "/collect/closed", content=body, headers={header: "https://shop.example"}
    )
    assert good.status_code == 200, good.text


async def test_one_address_and_one_site_have_their_bounds(site: House) -> None:
    for rates in (Rates(pixel="3/minute"), Rates(site="3/minute")):
        app, _ = site.with_other(settings=replace(ApiSettings(), rates=rates))
        async with site.client_of(app) as client:
            seen = [(await client.get(PIXEL)).status_code for _ in range(4)]
        assert seen == [200, 200, 200, 429]
