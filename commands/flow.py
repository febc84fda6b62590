"""`tandem flow`: everything about definitions, from the file to the running system."""

import typer

from commands.flow_check import draw_graph, lint_files, print_schema
from commands.flow_push import push
from commands.flow_run import run_flow

flow = typer.Typer(help="流程定义 / flow definitions", no_args_is_help=True)
flow.command("lint", help="检查定义 / check definitions")(lint_files)
flow.command("schema", help="编辑器用的 JSON Schema / JSON Schema for editors")(print_schema)
flow.command("graph", help="流程图 / draw a definition")(draw_graph)
flow.command("run", help="运行到结束 / run to the end")(run_flow)
flow.command("push", help="上传目录中的全部定义 / upload every definition of a folder")(push)
