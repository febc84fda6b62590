"""Commands as a person types them."""

import asyncio

import typer
from typer.testing import CliRunner, Result


def run(app: typer.Typer, *arguments: str, stdin: str = "") -> Result:
    """How a command ended and what it printed; raises what it refused with."""
    result = CliRunner().invoke(app, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def printed(app: typer.Typer, *arguments: str, stdin: str = "") -> str:
    """What a command that ended well printed; raises what it refused with."""
    result = run(app, *arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


async def run_beside(app: typer.Typer, *arguments: str, stdin: str = "") -> Result:
    """As `run`, for a test that has an event loop of its own."""
    return await asyncio.to_thread(run, app, *arguments, stdin=stdin)
