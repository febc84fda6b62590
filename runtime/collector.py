"""Python's garbage collector in a process that works through thousands of objects at a time."""

import gc

THRESHOLDS = (50_000, 20, 20)


def settle_collector() -> None:
    """Leave what is loaded by now out of every further collection, and collect after 50,000 new objects, not after 700.

    A batch of the inbox makes hundreds of thousands that live as long as the batch does: looking through them again and
    again, with all that the program itself consists of, took a quarter of the drain's processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
