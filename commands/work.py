"""`tandem worker`: a worker process for all task queues, or for those that are named."""

from typing import Annotated

import typer

from runtime import event_loop
from runtime.configuration import connected_settings
from runtime.logging import configure_logging


def worker(
    queues: Annotated[
        list[str] | None,
        typer.Option(
            "--queue", help="只服务该任务队列，可重复；默认全部 / only this task queue, repeatable; default all"
        ),
    ] = None,
) -> None:
    """运行工作进程，SIGTERM 时做完手头的事再退出 / serve task queues; SIGTERM drains gracefully."""
    # Imported here: other commands must not wait for the worker's imports.
    from worker import serve

    settings = connected_settings()
    configure_logging("worker", settings.log_level, settings.log_format)
    event_loop.run(serve(settings, queues or ()))
