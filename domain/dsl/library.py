"""Programs by digest, compiled once per process.

Content-addressed, so an entry can never be stale: a digest names one text for ever.
"""

from collections import OrderedDict

from domain.dsl.program import Program
from domain.problems import RuntimeProblem, Text

CAPACITY = 2_000
"""Programs kept; the one unused for longest makes room."""


class ProgramLibrary:
    """A bounded store of compiled programs."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._programs: OrderedDict[str, Program] = OrderedDict()
        self._capacity = capacity

    def put(self, digest: str, program: Program) -> None:
        """Keep a program."""
        self._programs[digest] = program
        self._programs.move_to_end(digest)
        while len(self._programs) > self._capacity:
            self._programs.popitem(last=False)

    def get(self, digest: str) -> Program:
        """The program; raises RuntimeProblem when nobody put it here."""
        program = self._programs.get(digest)
        if program is None:
            raise RuntimeProblem(Text(f"没有定义 {digest}", f"There is no definition {digest}"))
        self._programs.move_to_end(digest)
        return program

    def __contains__(self, digest: str) -> bool:
        return digest in self._programs


LIBRARY = ProgramLibrary()
"""The library of this process: filled before a workflow's code asks for a program."""
