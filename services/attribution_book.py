"""The attribution in force, read once for each text."""

import structlog

from domain.problems import ProblemError
from domain.settlement.attribution import AttributionRules
from domain.settlement.attribution_reading import ATTRIBUTION, ONLY_NAME, attribution_of
from storage.definitions import Definitions
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


class AttributionBook:
    """What is in force is asked of the database each time; what a text says is remembered by its digest."""

    def __init__(self) -> None:
        self._known: tuple[str, AttributionRules | None] = ("", None)

    async def current(self, work: UnitOfWork) -> AttributionRules | None:
        """The rules; None while none are published, or this Tandem cannot read them, which the log says once."""
        version = await Definitions(work).in_force(ATTRIBUTION, ONLY_NAME)
        if version is None:
            return None
        key = f"{version.digest}/{version.version}"
        if self._known[0] != key:
            try:
                self._known = (key, attribution_of(version.properties))
            except ProblemError as problem:
                log.warning("attribution cannot be read", version=version.version, reason=str(problem))
                self._known = (key, None)
        return self._known[1]
