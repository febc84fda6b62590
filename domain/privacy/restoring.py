"""What comes back from somebody who saw it masked: the real data again, or a refusal; never a mask in its place."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.privacy.kinds import Kind, masked
from domain.privacy.masking import NOTHING, Leaf, Masking, as_shown
from domain.problems import Text, ValidationProblem

MOST_ERRORS = 50


def restored(
    masking: Masking,
    given: Mapping[str, Any],
    document: Mapping[str, Any],
    part: str,
    declared: Mapping[str, Kind] = NOTHING,
) -> dict[str, Any]:
    """The form that was filled in, with the stored values back in the places of their masks.

    A value that equals the mask of what is stored in the same place is that. Else, one that equals the mask of exactly
    one thing of its kind, anywhere in what was shown, is that.

    :param document: everything that was shown together; part: the member of it that is the form as it is kept.
    :raises ValidationProblem: 422, something else was masked in a place for personal data; `errors` says where.
    """
    shown = masking.mask(document, declared)
    stored = document.get(part) or {}
    holder, leaves = masking.leaves(_in_place(dict(given), stored, shown.get(part) or {}), declared)
    originals, known = _behind(masking.leaves(document, declared)[1])
    wrong: list[Leaf] = []
    for leaf in leaves:
        if "*" not in leaf.text or leaf.text in known:
            continue
        found = originals.get((leaf.kind, leaf.text), [])
        if len(found) == 1:
            leaf.put(found[0])
        elif found or (leaf.kind is not None and masked(leaf.kind, leaf.text) == leaf.text):
            wrong.append(leaf)
    if wrong:
        raise _masked_values(wrong)
    form: dict[str, Any] = holder[0]
    return form


def _in_place(given: Any, stored: Any, shown: Any) -> Any:
    """`given` with what is stored wherever it is what was shown. No deeper than requests are."""
    if isinstance(given, str):
        return stored if given == shown else given
    if isinstance(given, dict) and isinstance(stored, Mapping):
        return {
            key: _in_place(value, stored[key], shown[key]) if key in stored else value for key, value in given.items()
        }
    if isinstance(given, list) and isinstance(stored, list):
        rest = given[len(stored) :]
        return [*(_in_place(*three) for three in zip(given, stored, shown, strict=False)), *rest]
    return given


def _behind(leaves: Sequence[Leaf]) -> tuple[dict[tuple[Kind | None, str], list[Any]], set[str]]:
    """What stands behind each mask, by kind and mask; and every text that is stored with the look of a mask."""
    found: dict[tuple[Kind | None, str], list[Any]] = {}
    known: set[str] = set()
    for leaf, shown in as_shown(leaves):
        if shown == leaf.text:
            known.add(leaf.text)
            continue
        behind = found.setdefault((leaf.kind, shown), [])
        if leaf.original not in behind:
            behind.append(leaf.original)
    return found, known


def _masked_values(wrong: Sequence[Leaf]) -> ValidationProblem:
    places = [[str(part) for part in leaf.place.path[1:]] for leaf in wrong[:MOST_ERRORS]]
    told = Text(
        "这里是打码后的内容，请填写真实内容",
        "This is masked; fill in the real value",
    ).as_dict()
    fields = ", ".join(dict.fromkeys(".".join(place) for place in places))
    return ValidationProblem(
        Text(
            f"表单中有打码后的内容，未保存：{fields}。请重新读取任务（处理人看到的是明文），并填写真实内容。",
            f"The form holds masked values and was not saved: {fields}. Read the task again (whoever works on it sees "
            "it in clear) and fill in the real ones.",
        ),
        status=422,
        errors=[
            {"field": ".".join(place), "pointer": "".join(f"/{part}" for part in place), "message": told}
            for place in places
        ],
    )
