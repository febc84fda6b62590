"""What is wrong with what Tandem holds, in sentences; nothing said means that it passed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.accuracy.parcels import Parcels
from tests.accuracy.refunds import Refunds
from tests.accuracy.truth import Accuracy, People

PRECISION_LEAST = 1.0
RECALL_LEAST = 0.99
_DUPLICATES = re.compile(r'^tandem_webhooks_total\{outcome="duplicate",platform="([^"]+)"\} (\S+)$', re.MULTILINE)
_REFUSALS = re.compile(
    r'^tandem_webhook_refusals_total\{platform="([^"]+)",reason="wrong-signature"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Inflow:
    """What came in from one platform: records stored, quarantined, the events that came of them, the pushes that were
    here before, and those whose signature was wrong."""

    stored: int = 0
    quarantined: int = 0
    events: int = 0
    duplicates: int = 0
    refused: int = 0


def duplicates(metrics: str) -> dict[str, int]:
    """Pushes dropped as told before, by platform, from what `/metrics` says."""
    return {platform: int(float(value)) for platform, value in _DUPLICATES.findall(metrics)}


def refusals(metrics: str) -> dict[str, int]:
    """Pushes refused for a wrong signature, by platform, from what `/metrics` says."""
    return {platform: int(float(value)) for platform, value in _REFUSALS.findall(metrics)}


def complaints(
    accuracy: Mapping[str, Accuracy],
    phantoms: Sequence[str],
    people: People,
    inflow: Mapping[str, Inflow],
    faults: Iterable[Mapping[str, Any]] = (),
    *,
    refunds: Mapping[str, Refunds],
    parcels: Mapping[str, Parcels],
) -> list[str]:
    """Everything for which a run fails.

    A forged push is refused at the door and never stored, so whatever is quarantined was genuine.
    """
    rules = list(faults)
    return [
        *_of_orders(accuracy, phantoms),
        *_of_refunds(refunds),
        *_of_parcels(parcels),
        *_of_people(people),
        *(
            f"{name}: {each.quarantined} genuine records are in quarantine"
            for name, each in inflow.items()
            if each.quarantined
        ),
        *(f"the fault {_told(each)} was set and never struck" for each in rules if not each["hit"]),
        *(
            f"{name}: what was forged was never refused"
            for name in sorted({_platform(each) for each in rules if each["fault"] == "forge_push"} - {"*"})
            if not inflow.get(name, Inflow()).refused
        ),
    ]


def _platform(fault: Mapping[str, Any]) -> str:
    return str(fault.get("match", {}).get("platform", "*"))


def _told(fault: Mapping[str, Any]) -> str:
    platform = _platform(fault)
    return str(fault["fault"]) if platform == "*" else f"{fault['fault']} of {platform}"


def _of_orders(accuracy: Mapping[str, Accuracy], phantoms: Sequence[str]) -> list[str]:
    said = [] if any(each.true for each in accuracy.values()) else ["the truth has no order: nothing was measured"]
    for platform, found in accuracy.items():
        for what, right in (
            ("are here", found.here),
            ("have the right amount", found.amount),
            ("have the right status", found.status),
            ("belong to the right person", found.owner),
        ):
            if right != found.true:
                said.append(f"{platform}: {right} of {found.true} orders {what}")
    if phantoms:
        said.append(f"{len(phantoms)} stored orders are in no truth, or stored twice: {', '.join(phantoms[:5])}")
    return said


def _of_refunds(refunds: Mapping[str, Refunds]) -> list[str]:
    said = [] if any(each.true for each in refunds.values()) else ["the truth has no refund: nothing was measured"]
    for platform, found in refunds.items():
        for what, right in (
            ("are here", found.here),
            ("have the right amount", found.amount),
            ("have the right status", found.status),
            ("hang on the right order", found.order),
        ):
            if right != found.true:
                said.append(f"{platform}: {right} of {found.true} refunds {what}")
        if found.made_up:
            shown = ", ".join(found.made_up[:5])
            said.append(f"{len(found.made_up)} stored refunds are in no truth, or stored twice: {shown}")
    return said


def _of_parcels(parcels: Mapping[str, Parcels]) -> list[str]:
    said = [] if any(each.true for each in parcels.values()) else ["the truth has no parcel: nothing was measured"]
    for platform, found in parcels.items():
        if found.here != found.true:
            said.append(f"{platform}: {found.here} of {found.true} parcels are here")
        if found.made_up:
            shown = ", ".join(found.made_up[:5])
            said.append(f"{platform}: {len(found.made_up)} stored parcels are in no truth, or stored twice: {shown}")
    return said


def _of_people(people: People) -> list[str]:
    if not people.reachable or not people.pairs:
        return [f"identity: {people.reachable} pairs are true and {people.pairs} held: nothing was measured"]
    said = []
    if people.precision < PRECISION_LEAST:
        said.append(f"identity: precision {people.precision:.4%}: {people.false} pairs are of two people")
    if people.recall < RECALL_LEAST:
        said.append(f"identity: recall {people.recall:.4%}, at least {RECALL_LEAST:.0%} is asked")
    return said
