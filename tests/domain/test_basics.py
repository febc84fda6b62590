"""Problems, ids, money, events, calls: what everything else stands on."""

import pickle
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calls import Catalog
from domain.catalog import CATALOG
from domain.catalog.youzan import YOUZAN_GET_REFUND
from domain.events import Event
from domain.ids import bucket, canonical_json, content_digest, derived_id
from domain.money import Money, major_from_minor, minor_from_major
from domain.problems import (
    ConfigurationProblem,
    ConflictProblem,
    Problem,
    ProblemError,
    Text,
    TimeoutProblem,
    ValidationProblem,
    canonical_type,
)


def test_a_problem_says_it_in_both_languages_and_keeps_its_members() -> None:
    problem = ConflictProblem(Text("已被小林领取", "taken by Lin"), who="lin", instance="/do/0/x").problem.as_dict()
    assert problem["message"] == {"zh": "已被小林领取", "en": "taken by Lin"}
    assert (problem["status"], problem["who"], problem["instance"]) == (409, "lin", "/do/0/x")


def test_a_problem_survives_pickling() -> None:
    error = TimeoutProblem("late", instance="/do/1/wait")
    assert pickle.loads(pickle.dumps(error)).problem == error.problem


def test_an_error_can_carry_exactly_a_given_problem() -> None:
    problem = Problem(type="https://example.com/e", status=418, title="Tea")
    assert ProblemError.of(problem).problem is problem


@pytest.mark.parametrize(
    "uri",
    [
        "https://serverlessworkflow.io/dsl/errors/types/timeout",
        "https://serverlessworkflow.io/spec/1.0.0/errors/timeout",
        "https://openworkflowspec.org/spec/1.0.0/errors/timeout",
    ],
)
def test_all_spellings_of_a_standard_type_are_one(uri: str) -> None:
    assert canonical_type(uri) == TimeoutProblem.type


def test_other_types_are_left_alone() -> None:
    assert canonical_type("https://example.com/errors/timeout") == "https://example.com/errors/timeout"


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))
    assert content_digest(canonical_json(value)).startswith("sha256:")


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4), st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_a_derived_id_names_its_parts_and_nothing_else(first: list[str], second: list[str]) -> None:
    same = "\x1f".join(first) == "\x1f".join(second)
    assert (derived_id(*first) == derived_id(*second)) is same


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
def test_a_derived_id_is_a_uuid_of_version_5_and_stays_the_same_for_ever(parts: list[str]) -> None:
    assert derived_id(*parts) == str(uuid.uuid5(uuid.UUID("6f1c7d0e-2a55-5c1b-9d0a-7c1c2f3b9a11"), "\x1f".join(parts)))


@given(st.text(), st.text())
def test_a_bucket_is_stable_and_within_bounds(subject: str, salt: str) -> None:
    assert 0 <= bucket(subject, salt, size=100) < 100
    assert bucket(subject, salt) == bucket(subject, salt)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["CNY", "JPY", "KWD"]))
def test_money_goes_to_text_and_back(amount_minor: int, currency: str) -> None:
    assert minor_from_major(major_from_minor(amount_minor, currency), currency) == amount_minor


@pytest.mark.parametrize("text", ["12.345", "abc", "", "1e-5", "1_000", "１２", "NaN", "Infinity", "1e999999"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValidationProblem):
        minor_from_major(text)


@pytest.mark.parametrize("amount", [1.5, True, Decimal("1.5")])
def test_money_is_never_a_fraction(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount_minor": amount})


def test_an_event_lists_each_subject_once_its_own_first() -> None:
    event = Event(id="1", source="/s", type="t", subject="refund:1", tandemkeys=("order:2", "refund:1"))
    assert event.subjects == ("refund:1", "order:2")


def test_an_event_keeps_what_it_does_not_know() -> None:
    event = Event.model_validate({"id": "1", "source": "/s", "type": "t", "roomid": 7})
    assert event.envelope()["roomid"] == 7


def test_a_name_in_the_catalog_belongs_to_one_declaration() -> None:
    catalog = Catalog((YOUZAN_GET_REFUND,))
    catalog.register(YOUZAN_GET_REFUND)
    other = type(YOUZAN_GET_REFUND)(
        name="youzan.get_refund",
        title=YOUZAN_GET_REFUND.title,
        input=YOUZAN_GET_REFUND.input,
        output=YOUZAN_GET_REFUND.output,
    )
    with pytest.raises(ConfigurationProblem):
        catalog.register(other)


@pytest.mark.parametrize("suffix", ["", ":1.0.0", ":1.0.0@default"])
def test_a_call_is_found_by_name_and_by_version(suffix: str) -> None:
    assert CATALOG.resolve(f"youzan.get_refund{suffix}") is YOUZAN_GET_REFUND


def test_a_version_that_there_is_not_is_not_found() -> None:
    assert CATALOG.resolve("youzan.get_refund:9.0.0") is None


def test_wrong_arguments_are_named_one_by_one() -> None:
    with pytest.raises(ValidationProblem, match="refund_id") as refused:
        YOUZAN_GET_REFUND.parse_arguments({"refund": "R1"})
    text = refused.value.text
    assert ("refund：没有这个字段" in text.zh, "refund: there is no such member" in text.en) == (True, True)


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_example_keeps_its_declaration(name: str) -> None:
    call = CATALOG[name]
    if call.kind != "flow":
        call.parse_result(dict(call.example))
