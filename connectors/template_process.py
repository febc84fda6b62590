"""The other end of `connectors.templates`: a process that renders one template after the other and may be killed.

It is run as a script with an empty environment and knows nothing of Tandem. One JSON object a line comes in
(`{"text", "data"}`), one goes out: `{"output"}` or `{"fault", ...}`. A render that burns its CPU time is ended by the
operating system, one that wants too much memory by a MemoryError.
"""

import json
import signal
import sys
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_S = 0.1
MEMORY_BYTES = 268_435_456
MAX_OUTPUT_BYTES = 10_240


class NamedUndefined(StrictUndefined):
    """Fails with nothing but the name of what is missing."""

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name)


def yuan(amount_minor: object) -> str:
    """Minor units as an amount in yuan: 29900 → 299.00."""
    if isinstance(amount_minor, bool) or not isinstance(amount_minor, int):
        raise TypeError("yuan takes an integer amount in fen")
    sign = "-" if amount_minor < 0 else ""
    return f"{sign}{abs(amount_minor) // 100}.{abs(amount_minor) % 100:02d}"


def environment() -> ImmutableSandboxedEnvironment:
    """Jinja2 without loaders, without access to internals, strict about what is missing."""
    made = ImmutableSandboxedEnvironment(undefined=NamedUndefined, trim_blocks=True, lstrip_blocks=True, cache_size=0)
    made.filters["yuan"] = yuan
    # The same data must give the same text, or a repeated attempt would not recognise its own message.
    del made.globals["lipsum"], made.filters["random"]
    return made


def render(templates: ImmutableSandboxedEnvironment, text: str, data: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request."""
    try:
        output = ""
        for piece in templates.from_string(text).generate(**data):
            output += piece
            if len(output) > MAX_OUTPUT_BYTES or len(output.encode(errors="replace")) > MAX_OUTPUT_BYTES:
                return {"fault": "long"}
    except TemplateSyntaxError as error:
        return {"fault": "syntax", "line": error.lineno, "reason": str(error.message)[:200]}
    except SecurityError:
        return {"fault": "forbidden"}
    except UndefinedError as error:
        return {"fault": "undefined", "name": str(error.message)[:100]}
    except (MemoryError, OverflowError, RecursionError):
        return {"fault": "expensive"}
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        return {"fault": "failed", "reason": str(error)[:200]}
    return {"output": output}


def limit_memory() -> None:
    """Where the system can: no render gets more than its share."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def limit_cpu(seconds: float) -> None:
    """Where the system can: SIGPROF, whose default is death, after so much CPU time; 0 takes the limit off."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main() -> None:
    """Serve until the input ends."""
    limit_memory()
    templates = environment()
    # The first render loads what the others use; it must not count against them.
    render(templates, "{{ a|yuan }}", {"a": 1})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        limit_cpu(CPU_S)
        answer = render(templates, request["text"], request["data"])
        limit_cpu(0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
