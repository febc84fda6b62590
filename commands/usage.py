"""A command line that cannot be understood: what is wrong with it, in Chinese beside the program's own English."""

from typing import Any

import typer

# typer itself exports BadParameter only.
from typer._click.exceptions import (
    BadParameter,
    ClickException,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
    UsageError,
)


def run_command_line(app: typer.Typer) -> int:
    """Run the command that the process was given; its exit code. 2: the command line is wrong, and was told so."""
    try:
        code: Any = app(standalone_mode=False)
    except ClickException as error:
        # Imported here: a command that is understood must not wait for it.
        from typer import rich_utils

        rich_utils.rich_format_error(error)
        if not isinstance(error, NoArgsIsHelpError):
            typer.echo(in_chinese(error), err=True)
        return error.exit_code
    except typer.Abort:
        typer.echo("已取消  /  aborted", err=True)
        return 1
    return code if isinstance(code, int) else 0


def in_chinese(error: ClickException) -> str:
    """The sentence for a wrong command line."""
    context = error.ctx if isinstance(error, UsageError) else None
    command = context.command_path if context else "tandem"
    how = f"用法见 {command} --help"
    if isinstance(error, NoSuchOption):
        near = f"，是否想写 {'、'.join(sorted(error.possibilities))}？" if error.possibilities else "。"
        return f"没有选项 {error.option_name}{near}{how}"
    if isinstance(error, BadParameter):
        name = error.param.get_error_hint() if error.param else error.param_hint or ""
        named = name if isinstance(name, str) else "、".join(name)
        if isinstance(error, MissingParameter):
            return f"缺少 {named}。{how}"
        return f"{named} 的值不正确（见上）。{how}"
    if isinstance(error, UsageError) and error.message.startswith("No such command"):
        return f"没有这个命令。{how}"
    return f"命令行有误（见上）。{how}"
