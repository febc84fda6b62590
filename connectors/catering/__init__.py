"""What Meituan and Ele.me have in common as Tandem sees them: one shop's meals, refunds of them, pages of both.

Neither platform's contract was read in official documents. What each is taken to say stands in one constant of its own
(`connectors.meituan.wire.UNVERIFIED`, `connectors.eleme.wire.UNVERIFIED`), and nowhere else.
"""
