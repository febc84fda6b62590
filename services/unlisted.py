"""Contacts that stand here and that a list of everybody does not name: the platform is asked about each of them.

A list may be short because it failed, or because somebody came back while it was read. So nobody is taken for gone by
it: the answer about the one contact says whether they are.
"""

from collections.abc import Collection

import structlog

from connectors.pulling import PulledPage
from domain.canonical.keys import IdentityKey
from storage.identities import Identities
from storage.listings import Listings
from storage.lookups import Ask, Lookups
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 1_000
"""How many contacts are asked about because of one reading; a list that came back empty would ask about everybody."""


async def ask_about_unlisted(
    work: UnitOfWork, account_id: str, stream: str, page: PulledPage, keys: Collection[str]
) -> None:
    """Note what a page of a list of everything named; at its end, ask about those whom no page named."""
    if page.listed_since is None:
        return
    listings = Listings(work)
    await listings.add(account_id, stream, page.listed_since, keys)
    if not page.is_last:
        return
    missing = await listings.unlisted_contacts(account_id, stream, page.listed_since, MOST_AT_ONCE)
    await listings.end(account_id, stream)
    if not missing:
        return
    log.warning("contacts are in no list", account=account_id, count=len(missing))
    wanted = {IdentityKey("external_userid", account_id, each) for each in missing}
    known = await Identities(work).find(wanted)
    await Lookups(work).ask([Ask(key.id, account_id, work.now) for key in known.values()])
