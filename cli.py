"""`tandem`: the command line. Mounts the commands and shows every refusal without a traceback."""

import sys

import typer

from commands.console import preferred_locale, refuse
from commands.credentials import secret, token
from commands.doctor import doctor
from commands.flow import flow
from commands.migrate import migrate
from commands.people import user
from commands.serve import api, simulator
from commands.up import up
from commands.work import worker
from domain.problems import ProblemError

app = typer.Typer(
    name="tandem",
    help="双擎 SCRM：流程、人工任务、平台连接 / Tandem: flows, human tasks and platform connections",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up)
app.command()(doctor)
app.command()(migrate)
app.command()(worker)
app.command()(api)
app.command()(simulator)
app.add_typer(flow, name="flow")
app.add_typer(user, name="user")
app.add_typer(token, name="token")
app.add_typer(secret, name="secret")


@app.callback()
def _tandem() -> None:
    """Keeps `tandem` a group of commands even with a single one."""


def main() -> None:
    """The entry point of the `tandem` program."""
    try:
        app()
    except ProblemError as error:
        refuse(error, preferred_locale())
        sys.exit(1)


if __name__ == "__main__":
    main()
