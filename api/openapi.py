"""The API's description: what FastAPI knows of the routes, and what is the same for all of them."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from api.auth import requirement_of
from api.examples import REQUESTS, RESPONSES
from api.idempotency import HEADER
from api.problems import PROBLEM_MEDIA_TYPE

TAGS = [
    {"name": "session", "description": "登录与本人 · Logging in, and oneself"},
    {"name": "definitions", "description": "流程定义 · Definitions of flows"},
    {"name": "resources", "description": "表单、队列、消息模板 · Forms, queues, message templates"},
    {"name": "releases", "description": "放量与回滚 · Releases and roll-backs"},
    {"name": "runs", "description": "运行 · Runs"},
    {"name": "human tasks", "description": "人工任务 · Human tasks"},
    {"name": "events", "description": "事件 · Events"},
    {"name": "tags", "description": "客户标签 · Tags of customers"},
    {"name": "subscriptions", "description": "事件订阅 · Events sent out to subscribers"},
    {"name": "accounts", "description": "平台账号 · Accounts on platforms"},
    {"name": "settlement", "description": "结算：收款人与归属 · Settlement: payees, and whose orders are"},
    {"name": "customers", "description": "客户与标识 · Customers and their identities"},
    {"name": "secrets", "description": "流程使用的密钥 · Secrets of flows"},
    {"name": "users", "description": "用户与权限 · Users and their rights"},
    {"name": "tokens", "description": "访问令牌 · API tokens"},
    {"name": "organisation", "description": "组织树 · The organisation tree"},
    {"name": "audit", "description": "审计 · The audit log"},
    {"name": "catalog", "description": "功能与事件目录 · What flows can call and hear"},
    {"name": "webhooks", "description": "平台推送 · Pushes of platforms"},
    {"name": "monitoring", "description": "监控 · Monitoring"},
]
DESCRIPTION = (
    "流程、人工任务与平台连接。每个错误都是 RFC 9457 问题文档，`message` 含中英文。"
    "所有答复中的个人信息（手机、姓名、地址、邮箱、证件号、银行卡）均打码；任务处理人看到该任务的明文，"
    "主管可带 `unmask=true` 与原因逐条查看并留下审计。\n\n"
    "Flows, human tasks and platform connections. Every error is an RFC 9457 problem whose `message` has both "
    "languages; `Accept-Language` chooses `title` and `detail`. Personal data (phones, names, addresses, e-mails, "
    "identity and bank cards) is masked in every answer; who works on a task sees that task in clear, a supervisor one "
    "task or run at a time with `unmask=true` and a reason, which is audited."
)
_SENTENCE = {
    "type": "object",
    "required": ["zh", "en"],
    "properties": {"zh": {"type": "string"}, "en": {"type": "string"}},
}
_PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457",
    "type": "object",
    "required": ["type", "status", "title"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "message": _SENTENCE,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "message": _SENTENCE},
            },
        },
    },
    "additionalProperties": True,
}
_PROBLEM_TEXTS = {
    "400": "请求不正确 · The request is wrong",
    "401": "未登录或令牌无效 · Not signed in",
    "403": "没有权限 · Not allowed",
    "404": "不存在或不在数据范围内 · Not there, or not within one's data scope",
    "409": "状态冲突 · Conflict: somebody was faster, or the state does not allow it",
    "412": "版本已过期 · The ETag is stale",
    "413": "请求过大 · Too large",
    "415": "内容类型不支持 · Unsupported media type",
    "422": "幂等键被用于另一个请求 · The idempotency key belongs to another request",
    "428": "缺少 If-Match · If-Match is missing",
    "429": "请求过于频繁 · Too many requests",
    "503": "暂时无法服务，未丢失任何东西 · Cannot be served now; nothing was lost",
    "default": "其他问题 · Another problem",
}
_KEY_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "同一个键与同一个请求只执行一次 · the same key and request are carried out once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!#-~]+$"},
    "example": "5f0c7f6e-6e0b-4a0c-8f8e-0c8a53f0f5a1",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM_SCHEMA
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    for route in api_routes(app):
        for method in route.methods or ():
            operation = document["paths"].get(route.path_format, {}).get(method.lower())
            if operation is not None:
                _complete(operation, route, method)
    return document


def api_routes(app: FastAPI) -> Iterator[APIRoute]:
    """Every route of the application that is ours."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            yield context.original_route


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    requirement = requirement_of(route.dependant)
    statuses = {"429", "503", "default"}
    # FastAPI's own shape of a validation error, which nobody gets here.
    operation["responses"].pop("422", None)
    if requirement is not None:
        statuses |= {"401", "403"}
        operation["security"] = [{"bearer": []}]
        operation["x-permissions"] = [permission.value for permission in requirement.permissions]
        if method == "POST":
            statuses |= {"409", "422"}
            operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    else:
        operation["security"] = []
    if "requestBody" in operation or route.dependant.query_params or operation.get("parameters"):
        statuses.add("400")
    if "requestBody" in operation:
        statuses |= {"413", "415"}
    if route.dependant.path_params:
        statuses.add("404")
    if any(parameter.get("name") == "if-match" for parameter in operation.get("parameters", [])):
        statuses |= {"412", "428"}
    for status in sorted(statuses - set(operation["responses"])):
        operation["responses"][status] = {
            "description": _PROBLEM_TEXTS[status],
            "content": {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    _add_examples(operation)


def _add_examples(operation: dict[str, Any]) -> None:
    name = operation["operationId"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if name in REQUESTS:
            content.setdefault("example", REQUESTS[name])
    for status, answer in operation["responses"].items():
        if status.startswith("2") and name in RESPONSES:
            for content in answer.get("content", {}).values():
                content.setdefault("example", RESPONSES[name])
