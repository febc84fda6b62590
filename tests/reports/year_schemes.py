"""What the merchant of the seeded year pays by: whose orders are, its schemes, and its people."""

from collections.abc import Mapping

from domain.settlement.payees import NewPayoutDetails
from domain.settlement.scheme import Cycle

RULES = """
attribution:
  name: orders
  version: {version}
  title: 归属
  since: 2026-01-01
  counts: [paid, completed]
  roles:
    promoter: channel
    group-leader: channel
    influencer: influencer
    store: shop
  bonded: {{ categories: [保税] }}
"""
PROMOTERS = """
scheme:
  name: promoters
  version: 1.0.0
  title: 推广员与城市
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [promoter, city] }
  levels: 3
  cap: '120.00'
  hold-days: 7
  clawback: { instalments: 2, keep: '50%' }
  earns:
    - name: sales
      title: 推广提成
      of: kept
      roles: [promoter]
      tiers: { graduated: [{ from: '0.00', rate: '5%' }, { from: '1000.00', rate: '8.25%' }] }
    - name: step
      title: 阶梯奖
      of: kept
      roles: [promoter]
      bonus: { steps: [{ from: '900.00', pays: '20.01' }, { from: '2500.00', pays: '66.67' }] }
    - name: live
      title: 直播
      of: kept
      roles: [promoter]
      where: { channel: [P1, P2, P3], first: true }
      weights: [{ where: { article: [hat] }, times: '1.5' }]
      rate: '0.37%'
      floor: '1.11'
    - { name: visits, title: 到店, of: visits, roles: [promoter], each: '1.50' }
    - { name: fx, title: 汇兑差额, of: fx-difference, roles: [promoter], rate: '100%' }
    - name: bonded
      title: 保税操作费
      of: orders
      where: { bonded: true }
      roles: [promoter]
      each: '3.50'
      deducts: true
    - name: city
      title: 城市返利
      roles: [city]
      overrides: { of: sales, levels: ['30%', '10.5%'] }
      factor: { score: service, steps: [{ from: 0, times: '0.8' }, { from: 90, times: '1' }] }
    - { name: below, title: 下级件数, of: quantity, level: 1, roles: [city], each: '0.13' }
"""
STORES = """
scheme:
  name: stores
  version: 1.0.0
  title: 门店
  cycle: half-month
  counts: paid
  from: 2026-01-01
  payees: { roles: [store] }
  earns:
    - { name: rent, title: 固定服务费, fixed: '300.00' }
    - name: sales
      title: 门店提成
      of: paid
      cap: '88.88'
      tiers: { volume: [{ from: '0.00', rate: '2%' }, { from: '3000.00', rate: '3%' }] }
"""
INFLUENCERS = """
scheme:
  name: influencers
  version: 1.0.0
  title: 达人
  cycle: month
  counts: paid
  from: 2026-01-01
  payees: { roles: [influencer] }
  minimum: '50.00'
  earns:
    - { name: deals, title: 成交, of: orders, each: '8.00' }
    - { name: share, title: 分成, of: kept, grain: line, rate: '3.57%' }
"""
LEADERS = """
scheme:
  name: leaders
  version: 1.0.0
  title: 团长绩效
  cycle: week
  counts: paid
  from: 2025-12-29
  payees: { roles: [group-leader] }
  floor: '0.00'
  minimum: '200.00'
  clawback: { instalments: 3 }
  earns:
    - name: sales
      title: 团购提成
      of: kept
      rate: '8%'
      factor:
        score: after-sale
        steps: [{ from: 0, times: '0.6' }, { from: 80, times: '1' }, { from: 95, times: '1.2' }]
    - name: openings
      title: 开团奖励
      of: score
      score: openings
      bonus: { steps: [{ from: 5, pays: '5.00' }, { from: 10, pays: '15.00' }] }
    - { name: reviews, title: 评价, of: reviews, each: '0.50' }
    - { name: handling, title: 操作费, of: quantity, where: { bonded: true }, each: '0.90', deducts: true }
"""
EVERYBODY = """
scheme:
  name: everybody
  version: 1.0.0
  title: 全员限时奖
  cycle: month
  counts: completed
  from: 2026-01-01
  payees: { roles: [promoter, influencer, store] }
  rounding: { rule: half-even, grain: '0.05' }
  hold-days: 40
  earns:
    - { name: more, title: 限时加奖, of: kept, rate: '1.1%', roles: [promoter, influencer] }
    - name: abroad
      title: 汇兑
      of: fx-difference
      grain: line
      rate: '50%'
      weights: [{ where: { article: [hat] }, times: '2' }]
    - { name: deals, title: 成交奖, of: orders, roles: [store], package: { size: 2, price: '1.15', free: 1 } }
"""
SCHEMES = (PROMOTERS, STORES, INFLUENCERS, LEADERS, EVERYBODY)
CYCLES: Mapping[str, Cycle] = {
    "promoters": "month",
    "stores": "half-month",
    "influencers": "month",
    "leaders": "week",
    "everybody": "month",
}
"""Of each scheme its own."""
OWN_CYCLES: Mapping[str, Cycle] = {"P7": "week", "S3": "day"}
"""Of payees who have one of their own."""
PEOPLE: Mapping[str, str] = {
    **{f"P{number}": "promoter" for number in range(1, 8)},
    **dict.fromkeys(("C1", "C2"), "city"),
    **dict.fromkeys(("S1", "S2", "S3"), "store"),
    **dict.fromkeys(("I1", "I2"), "influencer"),
    **dict.fromkeys(("L1", "L2"), "group-leader"),
}
ANYBODY = NewPayoutDetails(openid="o", real_name="某人")
DETAILS: Mapping[str, NewPayoutDetails] = {
    "P1": NewPayoutDetails(openid="o1", real_name="名P1"),
    "P2": NewPayoutDetails(real_name="名P2", bank_account="6222020200112233445", bank_name="招商银行"),
    "P3": NewPayoutDetails(real_name="名P3", merchant_receiver="1900000109"),
    "P4": NewPayoutDetails(),
    "P5": NewPayoutDetails(bank_account="6222020200112233446", bank_name="招商银行"),
    "I2": NewPayoutDetails(real_name="名I2", merchant_receiver="1900000208"),
    "L1": NewPayoutDetails(real_name="名L1", merchant_receiver="1900000307"),
}
