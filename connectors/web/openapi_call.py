"""An operation of an OpenAPI document with its parameters filled in, as the HTTP request that it stands for.

Source: Serverless Workflow DSL 1.0.3 reference, "OpenAPI Call".
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.web.content import MULTIPART, media_type
from connectors.web.failures import NEVER_SENT
from connectors.web.openapi_document import Body, Operation
from connectors.web.openapi_parameters import path_text, plain_text, query_text
from domain.catalog.web import HTTP_CALL, HttpRequest, OpenApiRequest
from domain.problems import ConfigurationProblem, Text, ValidationProblem

_PLACE = re.compile(r"\{[^{}]*\}")


def http_request_of(operation: Operation, request: OpenApiRequest) -> HttpRequest:
    """The request to send.

    Raises ValidationProblem that names the parameters that are missing or unknown, or cannot be written.
    """
    given = {name: value for name, value in request.parameters.items() if value is not None}
    address, query, headers, cookies = operation.address, [], {}, []
    used: set[str] = set()
    missing: list[str] = []
    for parameter in operation.parameters:
        if parameter.name not in given:
            if parameter.required or parameter.location == "path":
                missing.append(parameter.name)
            continue
        used.add(parameter.name)
        value = given[parameter.name]
        match parameter.location:
            case "path":
                address = address.replace(f"{{{parameter.name}}}", path_text(parameter, value))
            case "query":
                query.append(query_text(parameter, value))
            case "header":
                headers[parameter.name] = plain_text(parameter, value)
            case "cookie":
                cookies.append(f"{parameter.name}={plain_text(parameter, value)}")
    rest = {name: value for name, value in given.items() if name not in used}
    body = _body(operation, rest, missing, request.operation_id)
    if missing:
        raise _wrong(
            Text(f"缺少参数 {_listed(missing)}", f"the parameters {_listed(missing)} are missing"), request.operation_id
        )
    unfilled = _PLACE.search(address)
    if unfilled is not None:
        raise ConfigurationProblem(
            Text(
                f"OpenAPI 文档没有说明 {request.operation_id} 地址中的 {unfilled[0]}",
                f"The OpenAPI document does not declare {unfilled[0]} in the address of {request.operation_id}",
            ),
            **NEVER_SENT,
        )
    if body is not None and operation.body is not None:
        headers["content-type"] = operation.body.content_type
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    asked = "&".join(part for part in query if part)
    uri = f"{address}{'&' if '?' in address else '?'}{asked}" if asked else address
    return HTTP_CALL.parse_arguments(
        {
            "method": operation.method,
            "endpoint": {"uri": uri, "authentication": request.authentication},
            "headers": headers,
            "body": body,
            "output": request.output,
            "redirect": request.redirect,
        }
    )


def _body(operation: Operation, rest: Mapping[str, Any], missing: list[str], operation_id: str) -> Any:
    """The body that the remaining parameters make; what is missing for it is added to `missing`."""
    body = operation.body
    if body is None or body.name is not None or body.fields:
        known = {parameter.name for parameter in operation.parameters}
        expected = (body.fields | {body.name} - {None}) if body is not None else frozenset()
        unknown = sorted(rest.keys() - expected)
        if unknown:
            every = sorted(known | {name for name in expected if name})
            raise _wrong(
                Text(
                    f"没有参数 {_listed(unknown)}；可用的参数：{_listed(every)}",
                    f"there is no parameter {_listed(unknown)}; known are: {_listed(every)}",
                ),
                operation_id,
            )
    if body is None:
        return None
    if body.name is not None:
        if body.required and body.name not in rest:
            missing.append(body.name)
        return rest.get(body.name)
    missing.extend(sorted(body.required_fields - rest.keys()))
    if not rest:
        if body.required:
            missing.append("body")
        return None
    whole = rest.keys() == {"body"} and not body.declares_body
    return rest["body"] if whole else _with_bytes(body, rest)


def _with_bytes(body: Body, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if media_type(body.content_type) != MULTIPART:
        return fields
    return {name: _bytes(name, value) if name in body.binary else value for name, value in fields.items()}


def _bytes(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(name, item) for item in value]
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise _wrong(Text("文件内容必须是 base64 编码", "the content of a file must be base64"), name) from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "-"


def _wrong(reason: Text, where: str) -> ValidationProblem:
    return ValidationProblem(Text(f"{where}：{reason.zh}", f"{where}: {reason.en}"), **NEVER_SENT)
