import pickle

import pytest

from domain.dsl.definition import ANY_TYPE, DefinitionCache, DefinitionProblem, parse_definition, parse_definitions
from domain.ids import content_digest

TEXT = """\
document: {dsl: '1.0.3', namespace: apparel, name: return-refund, version: '1.2.0'}
schedule:
  on:
    one:
      with: {type: tandem.refund.created}
use:
  secrets: [erp]
  functions:
    readTrade: {call: youzan.get_trade, with: {account: a, order_id: '1'}}
  extensions:
    - log:
        extend: call
        before:
          - note: {call: 'wecom.add_tag:1.0.0@default', with: {}}
do:
  - read: {call: readTrade}
  - parcel:
      listen:
        to:
          any:
            - with: {type: tandem.refund.returned}
          until:
            one: {with: {type: tandem.refund.closed}}
  - answer:
      fork:
        branches:
          - wait: {call: wait-for, with: {events: {paid: {type: tandem.order.paid}}, timeout: P1D}}
"""


def test_a_definition_knows_what_it_is_and_what_it_needs() -> None:
    definition = parse_definition(TEXT)
    assert (definition.namespace, definition.name, definition.version) == ("apparel", "return-refund", "1.2.0")
    assert definition.digest == content_digest(TEXT)
    assert definition.text == TEXT
    assert definition.listened_types == {"tandem.refund.returned", "tandem.refund.closed", "tandem.order.paid"}
    assert definition.calls_used == {"youzan.get_trade", "wecom.add_tag", "wait-for"}
    assert definition.secrets_used == {"erp"}
    assert definition.triggers is not None
    assert [wanted.with_.type for wanted in definition.triggers.filters] == ["tandem.refund.created"]


@pytest.mark.parametrize(
    "listen",
    ["{any: []}", "{one: {with: {source: 'https://shop.example'}}}", "{one: {with: {type: '${ $context.kind }'}}}"],
)
def test_a_filter_without_a_fixed_type_listens_to_every_type(listen: str) -> None:
    head = "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\n"
    definition = parse_definition(f"{head}do:\n  - hear: {{listen: {{to: {listen}}}}}\n")
    assert definition.listened_types == {ANY_TYPE}
    assert definition.triggers is None


def test_a_wrong_text_is_refused_with_all_its_findings() -> None:
    with pytest.raises(DefinitionProblem) as refusal:
        parse_definition("document: {dsl: '1.0.3', namespace: a, name: b}\ndo:\n  - x: {set: {}}\n  - y: {cal: z}\n")
    assert [(found.code, found.line) for found in refusal.value.findings] == [
        ("missing-key", 1),
        ("bad-value", 3),
        ("no-task-keyword", 4),
    ]
    problem = refusal.value.problem.as_dict()
    assert problem["status"] == 400
    assert problem["findings"][1]["pointer"] == "/do/0/x/set"
    copied = pickle.loads(pickle.dumps(refusal.value))
    assert copied.findings == refusal.value.findings


def test_one_definition_is_expected_where_there_are_two() -> None:
    two = TEXT + "---\n" + TEXT.replace("return-refund", "other")
    assert [definition.name for definition in parse_definitions(two)] == ["return-refund", "other"]
    assert parse_definitions(two)[0].digest == content_digest(TEXT.removesuffix("\n"))
    with pytest.raises(DefinitionProblem) as refusal:
        parse_definition(two)
    assert refusal.value.findings[0].code == "several-documents"


def test_the_cache_forgets_what_was_not_asked_for_longest() -> None:
    cache = DefinitionCache(size=2)
    first, second, third = (parse_definition(TEXT + "#" * count) for count in range(3))
    cache.put(first)
    cache.put(second)
    assert cache.get(first.digest) is first
    cache.put(third)
    assert cache.get(second.digest) is None
    assert cache.get(first.digest) is first
    again = parse_definition(TEXT)
    assert cache.put(again) is first, "the same text stays the same object"
