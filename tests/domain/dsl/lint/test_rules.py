"""Every rule speaks about its mistake, at its line, and is silent about the same done right: one table of them all."""

from typing import NamedTuple

import pytest

from domain.dsl.lint import RULES, LintResources, lint

HEADER = "document: {dsl: '1.0.3', namespace: shop, name: sample, version: '1.0.0'}\n"
KNOWN = LintResources(
    forms={"inspection"},
    queues={"warehouse"},
    templates={"refund-done"},
    flows={"shop/child"},
    secrets={"erp"},
    allowed_hosts={"erp.example.com", "*.example.org"},
    file_name="sample.yaml",
)


class Case(NamedTuple):
    """`wrong` must bring the code at `line` (the header is line 1), `right` must not bring it at all."""

    code: str
    line: int
    wrong: str
    right: str


CASES = [
    Case(
        "reserved-name",
        3,
        """
do:
  - exit: {set: {a: 1}}""",
        """
do:
  - leave: {set: {a: 1}}""",
    ),
    Case(
        "bad-duration",
        3,
        """
do:
  - pause: {wait: 3d}""",
        """
do:
  - pause: {wait: P3D}
  - computed: {wait: '${ .pause }'}""",
    ),
    Case(
        "bad-schema",
        2,
        """
input: {schema: {document: {type: strnig}}}
do:
  - a: {set: {a: 1}}""",
        """
input: {schema: {document: {type: string}}}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "empty-list",
        4,
        """
do:
  - nothing:
      do: []""",
        """
do:
  - something:
      do:
        - a: {set: {a: 1}}""",
    ),
    Case(
        "duplicate-task-name",
        4,
        """
do:
  - a: {set: {a: 1}}
  - a: {set: {a: 2}}""",
        """
do:
  - a: {set: {a: 1}}
  - inner: {do: [{a: {set: {a: 2}}}]}""",
    ),
    Case(
        "unknown-then",
        3,
        """
do:
  - a: {set: {a: 1}, then: finsh}
  - finish: {set: {a: 1}}""",
        """
do:
  - a: {set: {a: 1}, then: finish}
  - finish: {set: {a: 1}, then: end}""",
    ),
    Case(
        "then-in-branch",
        5,
        """
do:
  - both:
      fork: {branches: [
        one: {set: {a: 1}, then: two},
        two: {set: {a: 2}}]}""",
        """
do:
  - both:
      fork: {branches: [
        one: {set: {a: 1}, then: end},
        two: {set: {a: 2}}]}""",
    ),
    Case(
        "switch-several-defaults",
        6,
        """
do:
  - choose:
      switch:
        - one: {then: end}
        - two: {then: exit}""",
        """
do:
  - choose:
      switch:
        - one: {when: .a, then: end}
        - two: {then: exit}""",
    ),
    Case(
        "switch-no-default",
        3,
        """
do:
  - choose: {switch: [one: {when: .a, then: end}]}""",
        """
do:
  - choose: {switch: [one: {when: .a, then: end}, other: {then: continue}]}""",
    ),
    Case(
        "switch-falls-through",
        4,
        """
do:
  - choose: {switch: [good: {when: .good, then: pay}, bad: {then: refuse}]}
  - pay: {set: {a: 1}}
  - refuse: {set: {a: 2}}""",
        """
do:
  - choose: {switch: [good: {when: .good, then: pay}, bad: {then: refuse}]}
  - pay: {set: {a: 1}, then: exit}
  - refuse: {set: {a: 2}}""",
    ),
    Case(
        "unreachable-task",
        4,
        """
do:
  - a: {set: {a: 1}, then: end}
  - b: {set: {a: 2}}""",
        """
do:
  - a: {if: .early, set: {a: 1}, then: end}
  - b: {set: {a: 2}}""",
    ),
    Case(
        "endless-loop",
        4,
        """
do:
  - a: {set: {a: 1}}
  - b: {wait: PT1H, then: a}""",
        """
do:
  - a: {set: {a: 1}}
  - b: {if: .again, wait: PT1H, then: a}""",
    ),
    Case(
        "busy-loop",
        4,
        """
do:
  - a: {set: {a: 1}}
  - b: {switch: [again: {when: .again, then: a}, done: {then: end}]}""",
        """
do:
  - a: {wait: PT1H}
  - b: {switch: [again: {when: .again, then: a}, done: {then: end}]}""",
    ),
    Case(
        "listen-without-timeout",
        3,
        """
do:
  - hear: {listen: {to: {one: {with: {type: tandem.order.paid}}}}}""",
        """
do:
  - limited:
      timeout: {after: P1D}
      do:
        - hear: {listen: {to: {one: {with: {type: tandem.order.paid}}}}}""",
    ),
    Case(
        "human-task-without-timeout",
        3,
        """
do:
  - ask: {call: human-task, with: {queue: warehouse, title: t, form: inspection}}""",
        """
timeout: {after: P7D}
do:
  - ask: {call: human-task, with: {queue: warehouse, title: t, form: inspection}}""",
    ),
    Case(
        "marketing-goes-on",
        6,
        """
do:
  - pause: {wait: P3D}
  - remind:
      call: send
      with: {purpose: marketing, account: corp, to: wm1, text: hi}""",
        """
do:
  - journey:
      fork:
        compete: true
        branches:
          - remind:
              do:
                - pause: {wait: P3D}
                - tell: {call: send, with: {purpose: marketing, account: corp, to: wm1, text: hi}}
          - silenced:
              call: wait-for
              with: {timeout: P9D, events: {silenced: {type: tandem.customer.suppressed}}}""",
    ),
    Case(
        "unguarded-message",
        3,
        """
do:
  - tell: {call: official_account.send_text, with: {account: shop, openid: o1, text: hi}}""",
        """
do:
  - tell: {call: send, with: {purpose: service, account: corp, to: wm1, text: hi}}""",
    ),
    Case(
        "retry-without-limit",
        5,
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {delay: PT1S}}""",
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {delay: PT1S, limit: {duration: PT1H}}}""",
    ),
    Case(
        "retry-without-delay",
        5,
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {limit: {attempt: {count: 3}}}}""",
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {delay: PT1S, limit: {attempt: {count: 3}}}}""",
    ),
    Case(
        "unknown-call",
        3,
        """
do:
  - tag: {call: wecom.add_tgas, with: {}}""",
        """
use: {functions: {note: {set: {a: 1}}}}
do:
  - tag: {call: note}
  - split: {call: split@default, with: {shares: {a: 50}, salt: s}}""",
    ),
    Case(
        "wrong-argument",
        3,
        """
do:
  - split: {call: split, with: {shares: {a: many}, salt: s}}""",
        """
do:
  - split: {call: split, with: {shares: {a: '${ .share }'}, salt: s}}""",
    ),
    Case(
        "wrong-function-argument",
        4,
        """
use: {functions: {greet: {input: {schema: {document: {required: [name]}}}, set: {a: 1}}}}
do:
  - hello: {call: greet, with: {nmae: Li}}""",
        """
use: {functions: {greet: {input: {schema: {document: {required: [name]}}}, set: {a: 1}}}}
do:
  - hello: {call: greet, with: {name: Li}}""",
    ),
    Case(
        "endless-function",
        2,
        """
use: {functions: {again: {do: [{a: {call: other}}]}, other: {call: again}}}
do:
  - a: {call: again}""",
        """
use: {functions: {again: {do: [{a: {call: other}}]}, other: {set: {a: 1}}}}
do:
  - a: {call: again}""",
    ),
    Case(
        "expression-in-text",
        3,
        """
do:
  - a: {set: {title: '退款 ${ .id }'}}""",
        """
do:
  - a: {set: {title: '${ "退款 \\(.id)" }'}}""",
    ),
    Case(
        "unevaluated-text",
        3,
        """
do:
  - a: {set: {title: .order.title}}""",
        """
do:
  - a: {set: {title: '${ .order.title }', file: .pdf, note: 'a.b'}}""",
    ),
    Case(
        "unknown-variable",
        3,
        """
do:
  - a: {if: $contxt.paid, set: {a: 1}}""",
        """
do:
  - a: {if: $context.paid, set: {a: 1}}""",
    ),
    Case(
        "variable-not-here",
        4,
        """
do:
  - loop: {for: {in: .lines, each: line}, do: [{a: {set: {a: '${ $line }'}}}]}
  - b: {set: {b: '${ $line }'}}""",
        """
do:
  - loop: {for: {in: .lines, each: line}, while: $line.open, do: [{a: {set: {a: '${ $line }'}}}]}""",
    ),
    Case(
        "unlisted-secret",
        3,
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'https://erp.example.com', headers: {x: '${ $secrets.erb }'}}}""",
        """
use: {secrets: [erp]}
do:
  - a: {call: http, with: {method: get, endpoint: 'https://erp.example.com', headers: {x: '${ $secrets.erp }'}}}""",
    ),
    Case(
        "bad-variable-name",
        3,
        """
do:
  - loop: {for: {in: .lines, each: input}, do: [{a: {set: {a: 1}}}]}""",
        """
do:
  - loop: {for: {in: .lines, each: line}, do: [{a: {set: {a: 1}}}]}""",
    ),
    Case(
        "expression-in-check",
        5,
        """
do:
  - ask:
      call: human-task
      with: {queue: warehouse, title: t, form: inspection, checks: [{when: '${ .a }', message: {zh: a, en: a}}]}
      timeout: {after: P1D}""",
        """
do:
  - ask:
      call: human-task
      with: {queue: warehouse, title: t, form: inspection, checks: [{when: .a == $data.a, message: {zh: a, en: a}}]}
      timeout: {after: P1D}""",
    ),
    Case(
        "unknown-retry",
        4,
        """
use: {retries: {patient: {delay: PT1S, limit: {attempt: {count: 3}}}}}
do:
  - careful: {try: [{a: {set: {a: 1}}}], catch: {retry: pateint}}""",
        """
use: {retries: {patient: {delay: PT1S, limit: {attempt: {count: 3}}}}}
do:
  - careful: {try: [{a: {set: {a: 1}}}], catch: {retry: patient}}""",
    ),
    Case(
        "unknown-error",
        3,
        """
do:
  - fail: {raise: {error: tooLate}}""",
        """
use: {errors: {tooLate: {type: 'https://shop.example/late', status: 400}}}
do:
  - fail: {raise: {error: tooLate}}""",
    ),
    Case(
        "unknown-timeout",
        3,
        """
do:
  - pause: {wait: PT1H, timeout: PT2H}""",
        """
use: {timeouts: {short: {after: PT2H}}}
do:
  - pause: {wait: PT1H, timeout: short}""",
    ),
    Case(
        "unknown-authentication",
        3,
        """
do:
  - a: {call: http, with: {method: get, endpoint: {uri: 'https://erp.example.com', authentication: {use: erp}}}}""",
        """
use: {secrets: [erp], authentications: {erp: {basic: {use: erp}}}}
do:
  - a: {call: http, with: {method: get, endpoint: {uri: 'https://erp.example.com', authentication: {use: erp}}}}""",
    ),
    Case(
        "unused-part",
        2,
        """
use: {errors: {tooLate: {type: 'https://shop.example/late', status: 400}}}
do:
  - a: {set: {a: 1}}""",
        """
use: {errors: {tooLate: {type: 'https://shop.example/late', status: 400}}}
do:
  - fail: {raise: {error: tooLate}}""",
    ),
    Case(
        "unknown-event-type",
        3,
        """
do:
  - hear: {listen: {to: {one: {with: {type: tandem.order.payed}}}}, timeout: {after: P1D}}""",
        """
do:
  - hear: {listen: {to: {one: {with: {type: tandem.order.paid}}}}, timeout: {after: P1D}}
  - say: {emit: {event: {with: {source: 'https://shop.example', type: shop.done}}}}
  - own: {listen: {to: {one: {with: {type: shop.done}}}}, timeout: {after: P1D}}""",
    ),
    Case(
        "misspelt-event-type",
        3,
        """
do:
  - say: {emit: {event: {with: {source: 'https://shop.example', type: tandem.order.pade}}}}""",
        """
do:
  - say: {emit: {event: {with: {source: 'https://shop.example', type: shop.order.pade}}}}""",
    ),
    Case(
        "not-a-uri",
        3,
        """
do:
  - say: {emit: {event: {with: {source: /shop, type: shop.done}}}}""",
        """
do:
  - say: {emit: {event: {with: {source: '${ .source }', type: shop.done}}}}
  - fail: {raise: {error: {type: 'https://shop.example/late', status: 400}}}""",
    ),
    Case(
        "cron-with-every",
        2,
        """
schedule: {cron: 0 9 * * *, every: P1D}
do:
  - a: {set: {a: 1}}""",
        """
schedule: {cron: 0 9 * * *}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "bad-cron",
        2,
        """
schedule: {cron: 0 9 31 2 *}
do:
  - a: {set: {a: 1}}""",
        """
schedule: {cron: '0 9 29 2 *'}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "empty-schedule",
        2,
        """
schedule: {}
do:
  - a: {set: {a: 1}}""",
        """
schedule: {every: P1D}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "hasty-schedule",
        2,
        """
schedule: {every: PT1S}
do:
  - a: {set: {a: 1}}""",
        """
schedule: {every: PT1M}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "schedule-until",
        2,
        """
schedule: {on: {any: [{with: {type: tandem.order.paid}}], until: '. | length > 2'}}
do:
  - a: {set: {a: 1}}""",
        """
schedule: {on: {any: [{with: {type: tandem.order.paid}}]}}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "expression-not-here",
        3,
        """
do:
  - a: {run: {workflow: {namespace: shop, name: '${ .name }', version: latest}}}""",
        """
do:
  - a: {run: {workflow: {namespace: shop, name: child, version: latest, input: {a: '${ .name }'}}}}""",
    ),
    Case(
        "refused-run",
        3,
        """
do:
  - a: {run: {script: {language: js, code: '1'}}}""",
        """
do:
  - a: {run: {workflow: {namespace: shop, name: child, version: latest}}}""",
    ),
    Case(
        "refused-call",
        3,
        """
do:
  - a: {call: grpc, with: {service: x}}""",
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'https://erp.example.com'}}""",
    ),
    Case(
        "refused-catalog",
        3,
        """
do:
  - a: {call: 'https://functions.example/log.yaml'}""",
        """
do:
  - a: {call: 'split:1.0.0@default', with: {shares: {a: 50}, salt: s}}""",
    ),
    Case(
        "plaintext-secret",
        2,
        """
use: {authentications: {erp: {basic: {username: tandem, password: '123'}}}}
do:
  - a: {call: http, with: {method: get, endpoint: {uri: 'https://erp.example.com', authentication: {use: erp}}}}""",
        """
use: {secrets: [erp], authentications: {erp: {basic: {username: tandem, password: '${ $secrets.erp }'}}}}
do:
  - a: {call: http, with: {method: get, endpoint: {uri: 'https://erp.example.com', authentication: {use: erp}}}}""",
    ),
    Case(
        "host-not-allowed",
        3,
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'https://elsewhere.example.com/x'}}""",
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'https://api.example.org/{id}'}}""",
    ),
    Case(
        "insecure-address",
        3,
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'http://erp.example.com/x'}}""",
        """
do:
  - a: {call: http, with: {method: get, endpoint: 'https://erp.example.com/x'}}""",
    ),
    Case(
        "bad-address",
        3,
        """
do:
  - a: {call: http, with: {method: get, endpoint: erp.example.com/x}}""",
        """
do:
  - a: {call: http, with: {method: get, endpoint: '${ .address }'}}""",
    ),
    Case(
        "missing-queue",
        3,
        """
do:
  - ask: {call: human-task, with: {queue: warehuose, title: t, form: inspection}, timeout: {after: P1D}}""",
        """
do:
  - ask: {call: human-task, with: {queue: '${ .queue }', title: t, form: inspection}, timeout: {after: P1D}}""",
    ),
    Case(
        "missing-form",
        3,
        """
do:
  - ask: {call: human-task, with: {queue: warehouse, title: t, form: inspect}, timeout: {after: P1D}}""",
        """
do:
  - ask: {call: human-task, with: {queue: warehouse, title: t, form: {type: object}}, timeout: {after: P1D}}""",
    ),
    Case(
        "missing-template",
        3,
        """
do:
  - say: {call: send, with: {account: corp, to: wm1, template: refund-dome}}""",
        """
do:
  - say: {call: send, with: {account: corp, to: wm1, template: refund-done}}""",
    ),
    Case(
        "missing-flow",
        3,
        """
do:
  - a: {run: {workflow: {namespace: shop, name: chlid, version: latest}}}""",
        """
do:
  - a: {run: {workflow: {namespace: shop, name: child, version: latest}}}""",
    ),
    Case(
        "missing-secret",
        2,
        """
use: {secrets: [erb]}
do:
  - a: {set: {a: erb}}""",
        """
use: {secrets: [erp]}
do:
  - a: {set: {a: erp}}""",
    ),
]

AGAIN = [
    Case(
        "unknown-authentication",
        3,
        """
use: {secrets: [erp], authentications: {erp: {basic: {use: erp}}}}
input: {schema: {resource: {endpoint: {uri: 'https://erp.example.com/s.json', authentication: {use: erb}}}}}
do:
  - a: {set: {a: 1}}""",
        """
use: {secrets: [erp], authentications: {erp: {basic: {use: erp}}}}
input: {schema: {resource: {endpoint: {uri: 'https://erp.example.com/s.json', authentication: {use: erp}}}}}
do:
  - a: {set: {a: 1}}""",
    ),
    Case(
        "switch-falls-through",
        5,
        """
do:
  - choose: {switch: [good: {when: .good, then: pay}, bad: {then: refuse}]}
  - pay: {set: {a: 1}}
  - thank: {set: {a: 2}}
  - refuse: {set: {a: 3}}""",
        """
do:
  - choose: {switch: [good: {when: .good, then: pay}, bad: {then: refuse}]}
  - pay: {set: {a: 1}}
  - thank: {set: {a: 2}, then: exit}
  - refuse: {set: {a: 3}}""",
    ),
    Case(
        "expression-not-here",
        5,
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {errors: {with: {type: '${ .type }'}}}""",
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {when: $error.type == .type}""",
    ),
    Case(
        "variable-not-here",
        2,
        """
use: {retries: {some: {when: $error.status == 503, delay: PT1S, limit: {attempt: {count: 2}}}}}
do:
  - careful: {try: [{a: {set: {a: 1}}}], catch: {as: oops, retry: some}}""",
        """
use: {retries: {some: {when: $oops.status == 503, delay: PT1S, limit: {attempt: {count: 2}}}}}
do:
  - careful: {try: [{a: {set: {a: 1}}}], catch: {as: oops, retry: some}}""",
    ),
    Case(
        "bad-duration",
        5,
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {delay: PT1S, jitter: {from: PT9S, to: PT1S}, limit: {attempt: {count: 2}}}}""",
        """
do:
  - careful:
      try: [{a: {set: {a: 1}}}]
      catch: {retry: {delay: PT1S, jitter: {from: PT1S, to: PT9S}, limit: {attempt: {count: 2}}}}""",
    ),
    Case(
        "host-not-allowed",
        2,
        """
input: {schema: {resource: {endpoint: 'https://elsewhere.example.com/a.json'}}}
do:
  - a: {set: {a: 1}}""",
        """
input: {schema: {resource: {endpoint: 'https://erp.example.com/a.json'}}}
do:
  - a: {set: {a: 1}}""",
    ),
]
"""Other shapes of mistakes that a rule knows."""

BY_EXPRESSION = [
    Case(
        "expression-syntax",
        3,
        """
do:
  - a: {if: '.a ==', set: {a: 1}}""",
        """
do:
  - a: {if: .a == 1, set: {a: 1}}""",
    ),
    Case(
        "expression-forbidden",
        3,
        """
do:
  - a: {set: {a: '${ env.HOME }'}}""",
        """
do:
  - a: {set: {a: '${ .env.HOME }'}}""",
    ),
    Case(
        "expression-money-arithmetic",
        3,
        """
do:
  - a: {set: {a: '${ .refund_amount * 0.1 }'}}""",
        """
do:
  - a: {set: {a: '${ .refund_count * 2 }'}}""",
    ),
]


@pytest.mark.parametrize("case", [*CASES, *AGAIN, *BY_EXPRESSION], ids=lambda case: case.code)
def test_a_rule_speaks_about_the_mistake_and_only_about_it(case: Case) -> None:
    wrong = [found for found in lint(HEADER + case.wrong.lstrip("\n"), resources=KNOWN) if found.code == case.code]
    assert [found.line for found in wrong] == [case.line]
    right = lint(HEADER + case.right.lstrip("\n"), resources=KNOWN)
    assert not [found for found in right if found.code == case.code]
    assert not [found for found in right if found.severity == "error"], "the right way must be right in every respect"


def test_every_rule_has_a_case() -> None:
    # Codes of the expression engine come through `bad-expression`; the file's and the document's own rules are tried
    # in tests of their own.
    elsewhere = {"bad-expression", "dsl-version", "file-name", "bad-enrolment", "enrolment-without-events"}
    assert set(RULES) - elsewhere == {case.code for case in CASES}


def test_every_sentence_is_said_in_both_languages() -> None:
    for case in [*CASES, *AGAIN, *BY_EXPRESSION]:
        for found in lint(HEADER + case.wrong.lstrip("\n"), resources=KNOWN):
            assert any("\u4e00" <= character <= "\u9fff" for character in found.message.zh), found
            assert found.message.en.isprintable()
            assert len(found.message.en) > 10


@pytest.mark.parametrize(
    ("then", "severity", "words"),
    [
        ("", "warning", "goes on with “gift”"),
        (", then: pay", "info", "goes on with “pay”"),
        (", then: end", "info", "leaves this list"),
    ],
)
def test_a_switch_without_default_says_where_nothing_matching_goes(then: str, severity: str, words: str) -> None:
    found = lint(
        f"{HEADER}do:\n  - choose: {{switch: [vip: {{when: .vip, then: gift}}]{then}}}\n"
        "  - gift: {set: {gift: true}}\n  - pay: {set: '${ . }'}\n"
    )
    (remark,) = [each for each in found if each.code == "switch-no-default"]
    assert (remark.severity, words in remark.message.en) == (severity, True)


def test_the_language_version_is_checked() -> None:
    findings = lint(HEADER.replace("1.0.3", "2.0.0") + "do:\n  - a: {set: {a: 1}}")
    assert [(found.code, found.line) for found in findings] == [("dsl-version", 1)]


@pytest.mark.parametrize(
    ("enrolment", "schedule", "codes"),
    [
        ("{per: customer, again: P30D}", "", []),
        ("{per: customer, again: P30D}", "on: {one: {with: {type: tandem.order.paid}}}", []),
        ("{per: order}", "on: {one: {with: {type: tandem.order.paid}}}", []),
        ("{per: order, again: P2Y}", "on: {one: {with: {type: tandem.order.paid}}}", ["bad-enrolment"]),
        ("{per: order, again: PT0S}", "on: {one: {with: {type: tandem.order.paid}}}", ["bad-enrolment"]),
        ("{per: order, agian: P30D}", "on: {one: {with: {type: tandem.order.paid}}}", ["bad-enrolment"]),
        ("customer", "on: {one: {with: {type: tandem.order.paid}}}", ["bad-enrolment"]),
        ("{per: order}", "every: PT1H", ["enrolment-without-events"]),
    ],
)
def test_how_often_a_flow_takes_somebody_in_is_checked(enrolment: str, schedule: str, codes: list[str]) -> None:
    header = HEADER.replace("'1.0.0'}", f"'1.0.0', metadata: {{enrolment: {enrolment}}}}}")
    start = f"schedule: {{{schedule}}}\n" if schedule else ""
    findings = lint(f"{header}{start}do:\n  - a: {{set: {{a: 1}}}}")
    assert [(found.code, found.line) for found in findings] == [(code, 1) for code in codes]


def test_a_file_named_otherwise_is_mentioned() -> None:
    findings = lint(HEADER + "do:\n  - a: {set: {a: 1}}", resources=LintResources(file_name="other.yaml"))
    assert [(found.code, found.severity) for found in findings] == [("file-name", "info")]


def test_what_is_not_known_is_not_checked() -> None:
    text = HEADER + "do:\n  - say: {call: send, with: {account: corp, to: wm1, template: whatever}}"
    assert lint(text) == []


def test_several_documents_are_each_checked_in_their_place() -> None:
    text = HEADER + "do:\n  - a: {set: {}}\n---\n" + HEADER + "do:\n  - a: {then: b, set: {a: 1}}\n"
    assert [(found.line, found.code) for found in lint(text)] == [(3, "bad-value"), (7, "unknown-then")]


def test_a_resource_beside_flows_is_checked_as_what_it_is() -> None:
    text = "form:\n  name: inspection\n  title: 验货\n  schema: {type: array}\n"
    assert [(found.line, found.code) for found in lint(text)] == [(4, "bad-resource")]
    assert lint(text.replace("array", "object")) == []


@pytest.mark.parametrize(
    "written",
    [
        "${ .a + $contxt.b }",
        "'${ .a + $contxt.b }'",
        "$contxt.a",
        "|\n        ${\n          .a\n          + $contxt.b\n        }",
    ],
)
def test_a_finding_points_into_the_expression(written: str) -> None:
    text = f"{HEADER}do:\n  - a:\n      if: {written}\n      set: {{b: 1}}\n"
    above, _, _ = text.partition("$contxt")
    place = (above.count("\n") + 1, len(above) - above.rfind("\n"))
    assert [(found.code, found.line, found.column) for found in lint(text)] == [("unknown-variable", *place)]
