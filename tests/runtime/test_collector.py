import gc
import weakref

from runtime.collector import settle_collector


class Ring:
    def __init__(self) -> None:
        self.itself = self


def test_rubbish_is_still_collected() -> None:
    before = gc.get_threshold()
    try:
        settle_collector()
        gone = weakref.ref(Ring())
        assert gone() is not None
        kept = [[number] for number in range(gc.get_threshold()[0] + 1_000)]
        assert gone() is None
        assert len(kept) > 50_000
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
