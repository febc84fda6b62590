"""`tandem`: the command line. Mounts the commands and shows every refusal without a traceback.

Only the command that was asked for is imported: checking a file must not wait for the servers' clients to load.
"""

import gc
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import typer

from commands.console import preferred_locale, print_anything, refuse
from commands.usage import run_command_line
from domain.problems import ProblemError

COMMANDS: Mapping[str, str] = {
    "up": "commands.up:up",
    "doctor": "commands.doctor:doctor",
    "migrate": "commands.migrate:migrate",
    "worker": "commands.work:worker",
    "api": "commands.serve:api",
    "simulator": "commands.serve:simulator",
    "flow lint": "commands.flow_check:lint_files",
    "flow schema": "commands.flow_check:print_schema",
    "flow graph": "commands.flow_check:draw_graph",
    "flow run": "commands.flow_run:run_flow",
    "flow push": "commands.flow_push:push",
    "account": "commands.accounts:account",
    "stream": "commands.streams:stream",
    "import": "commands.imports:import_table",
    "subscription": "commands.subscriptions:subscription",
    "tag": "commands.tags:tag",
    "user": "commands.people:user",
    "token": "commands.credentials:token",
    "secret": "commands.credentials:secret",
    "audit": "commands.audit:audit",
    "database": "commands.retention:database",
    "quarantine": "commands.quarantine:quarantine",
    "lookup": "commands.lookups:lookup",
    "customer": "commands.life_events:customer",
    "settle": "commands.settle:settle",
    "payee": "commands.payees:payee",
}
"""Where each command, or group of commands, is."""

GROUPS: Mapping[str, str] = {"flow": "流程定义 / flow definitions"}


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The program with the one command that the words name, or with all of them when they name none."""
    app = _group("双擎 SCRM：流程、人工任务、平台连接 / Tandem: flows, human tasks and platform connections")
    # Keeps `tandem` a group of commands even with a single one.
    app.callback()(lambda: None)
    groups = {name: _group(text) for name, text in GROUPS.items()}
    for name in _wanted(words):
        module, _, attribute = COMMANDS[name].partition(":")
        command: Any = getattr(import_module(module), attribute)
        group, _, short = name.rpartition(" ")
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=short)
        else:
            (groups[group] if group else app).command(short)(command)
    for name, group_app in groups.items():
        if group_app.registered_commands:
            group_app.callback()(lambda: None)
            app.add_typer(group_app, name=name)
    return app


def _group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _wanted(words: Sequence[str]) -> list[str]:
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return [name]
    below = [name for name in COMMANDS if words and name.startswith(f"{words[0]} ")]
    return below or list(COMMANDS)


def _loaded(words: Sequence[str]) -> typer.Typer:
    """The program for these words. What is imported stays: looking through it for garbage takes a fourth of a start."""
    gc.disable()
    try:
        return command_line(words)
    finally:
        gc.enable()


def main() -> None:
    """The entry point of the `tandem` program."""
    print_anything()
    code = 1
    try:
        code = run_command_line(_loaded(sys.argv[1:]))
    except ProblemError as error:
        refuse(error, preferred_locale())
    except KeyboardInterrupt:
        code = 130
    finally:
        # A thread of Temporal's client that still holds something of ours aborts the interpreter at its end.
        gc.collect()
    sys.exit(code)


if __name__ == "__main__":
    main()
