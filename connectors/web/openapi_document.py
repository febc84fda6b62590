"""One operation of an OpenAPI document: where it is, which parameters it takes where, and how its body is written.

Versions 2.0 (Swagger), 3.0 and 3.1 are read into the same shape. Only what a call needs is read, so a document with
mistakes elsewhere still works; references must stay inside the document.

Source: OpenAPI Specification 2.0, 3.0.4 and 3.1.1: "Path Item", "Operation", "Parameter", "Request Body", "Server".
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from connectors.web.content import FORM, JSON, MULTIPART, is_json, media_type
from connectors.web.failures import NEVER_SENT, place
from domain.problems import ConfigurationProblem, Text

Location = Literal["path", "query", "header", "cookie"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_LOCATIONS: Final[tuple[Location, ...]] = ("path", "query", "header", "cookie")
_MAX_REFERENCES: Final = 20
_STYLES_OF_2: Final[Mapping[str, str]] = {
    "csv": "form",
    "multi": "form",
    "ssv": "spaceDelimited",
    "pipes": "pipeDelimited",
    "tsv": "tabDelimited",
}
_DEFAULT_STYLES: Final[Mapping[Location, str]] = {
    "path": "simple",
    "query": "form",
    "header": "simple",
    "cookie": "form",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter and how it is written. as_json: its value is JSON text (a 3.x parameter with `content`)."""

    name: str
    location: Location
    required: bool
    style: str
    explode: bool
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """How the body is made from parameters.

    name: the one parameter that is the whole body (2.0). fields: the parameters that are its fields (2.0 forms). With
    neither, whatever no parameter is called goes into the body (3.x). declares_body: the schema has a field that is
    itself called `body`. binary: fields whose values are base64 of their bytes.
    """

    content_type: str
    required: bool
    name: str | None = None
    fields: frozenset[str] = frozenset()
    required_fields: frozenset[str] = frozenset()
    declares_body: bool = False
    binary: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Operation:
    """Everything a call needs. address: the server's with the path template appended."""

    method: str
    address: str
    parameters: tuple[Parameter, ...]
    body: Body | None


class OpenApiDocument:
    """A parsed document. address: where it was read, which its relative server addresses start from.

    Raises ConfigurationProblem when it is no OpenAPI document of a known version.
    """

    def __init__(self, content: Any, address: str) -> None:
        self._address = address
        self._root = self._mapping(content, "")
        version = str(self._root.get("swagger") or self._root.get("openapi") or "")
        if version != "2.0" and not version.startswith(("3.0", "3.1")):
            raise self._wrong(
                Text(
                    f"不是 OpenAPI 2.0、3.0 或 3.1 文档（版本：{version or '无'}）",
                    f"it is not an OpenAPI 2.0, 3.0 or 3.1 document (version: {version or 'none'})",
                )
            )
        self._is_2 = version == "2.0"

    def operation(self, operation_id: str) -> Operation:
        """The operation of that id; raises ConfigurationProblem when there is none, or more than one."""
        known: list[str] = []
        found: list[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]] = []
        for path, method, item, operation in self._operations():
            name = operation.get("operationId")
            if name == operation_id:
                found.append((path, method, item, operation))
            elif isinstance(name, str):
                known.append(name)
        if not found:
            close = "、".join(difflib.get_close_matches(operation_id, known, 3))
            hint = (
                Text(f"；是否指 {close}？", f"; did you mean {close.replace('、', ', ')}?") if close else Text("", "")
            )
            raise self._wrong(Text(f"没有操作 {operation_id}{hint.zh}", f"it has no operation {operation_id}{hint.en}"))
        if len(found) > 1:
            raise self._wrong(Text(f"操作 {operation_id} 不止一个", f"it has more than one operation {operation_id}"))
        path, method, item, operation = found[0]
        declared = self._parameters(path, item, operation)
        server = self._server_of_2() if self._is_2 else self._server_of_3(item, operation)
        return Operation(
            method=method,
            address=server.rstrip("/") + path,
            parameters=tuple(self._parameter(one) for one in declared if one.get("in") in _LOCATIONS),
            body=self._body_of_2(declared, operation) if self._is_2 else self._body_of_3(operation),
        )

    def _operations(self) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
        for path, node in self._mapping(self._root.get("paths", {}), "paths").items():
            try:
                item = self._resolved(node, str(path))
            except ConfigurationProblem:
                # Not the operation that is asked for, as far as anybody can tell.
                continue
            for method in _METHODS:
                operation = item.get(method)
                if isinstance(operation, Mapping):
                    yield str(path), method, item, operation

    def _parameters(
        self, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> Sequence[Mapping[str, Any]]:
        """Those of the path, overridden by those of the operation with the same name and place."""
        declared: dict[tuple[str, str], Mapping[str, Any]] = {}
        for owner in (item, operation):
            for node in self._list(owner.get("parameters", []), f"{path} parameters"):
                parameter = self._resolved(node, f"{path} parameters")
                declared[str(parameter.get("name")), str(parameter.get("in"))] = parameter
        return list(declared.values())

    def _parameter(self, node: Mapping[str, Any]) -> Parameter:
        name, location = str(node.get("name")), node["in"]
        if self._is_2:
            arrangement = str(node.get("collectionFormat", "csv"))
            style = _STYLES_OF_2.get(arrangement, "form") if location == "query" else "simple"
            explode = arrangement == "multi"
        else:
            style = str(node.get("style", _DEFAULT_STYLES[location]))
            explode = bool(node.get("explode", style == "form"))
        return Parameter(name, location, bool(node.get("required")), style, explode, "content" in node)

    def _body_of_2(self, declared: Sequence[Mapping[str, Any]], operation: Mapping[str, Any]) -> Body | None:
        stated = operation.get("consumes") or self._root.get("consumes") or []
        consumes = [str(kind) for kind in self._list(stated, "consumes")]
        for node in declared:
            if node.get("in") == "body":
                return Body(_preferred(consumes) or JSON, bool(node.get("required")), name=str(node.get("name")))
        form = [node for node in declared if node.get("in") == "formData"]
        if not form:
            return None
        binary = frozenset(str(node.get("name")) for node in form if node.get("type") == "file")
        return Body(
            MULTIPART if binary or (MULTIPART in consumes and FORM not in consumes) else FORM,
            required=False,
            fields=frozenset(str(node.get("name")) for node in form),
            required_fields=frozenset(str(node.get("name")) for node in form if node.get("required")),
            binary=binary,
        )

    def _body_of_3(self, operation: Mapping[str, Any]) -> Body | None:
        if "requestBody" not in operation:
            return None
        node = self._resolved(operation["requestBody"], "requestBody")
        content = self._mapping(node.get("content", {}), "requestBody content")
        content_type = _preferred([str(kind) for kind in content]) or JSON
        schema = self._resolved(self._mapping(content.get(content_type, {}), content_type).get("schema", {}), "schema")
        properties = {
            str(name): self._resolved(field, str(name))
            for name, field in self._mapping(schema.get("properties", {}), "properties").items()
            if isinstance(field, Mapping)
        }
        return Body(
            content_type if "*" not in content_type else JSON,
            required=bool(node.get("required")),
            declares_body="body" in properties,
            binary=frozenset(name for name, field in properties.items() if _is_binary(field)),
        )

    def _server_of_2(self) -> str:
        here = urlsplit(self._address)
        schemes = [str(one) for one in self._list(self._root.get("schemes") or [], "schemes")]
        scheme = next((one for one in ("https", "http") if one in schemes), here.scheme)
        return f"{scheme}://{self._root.get('host') or here.netloc}{self._root.get('basePath') or ''}"

    def _server_of_3(self, item: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
        servers = operation.get("servers") or item.get("servers") or self._root.get("servers") or [{"url": "/"}]
        server = self._mapping(self._list(servers, "servers")[0], "servers")
        address = str(server.get("url", "/"))
        for name, variable in self._mapping(server.get("variables", {}), "server variables").items():
            address = address.replace(f"{{{name}}}", str(self._mapping(variable, str(name)).get("default", "")))
        return urljoin(self._address, address)

    def _resolved(self, node: Any, where: str) -> Mapping[str, Any]:
        """The object itself, or what its `$ref` points to."""
        for _ in range(_MAX_REFERENCES):
            found = self._mapping(node, where)
            if "$ref" not in found:
                return found
            node = self._pointed_at(str(found["$ref"]))
        raise self._wrong(Text(f"{where} 的 $ref 循环引用", f"the references of {where} run in a circle"))

    def _pointed_at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise self._wrong(
                Text(
                    f"引用 {reference} 指向文档之外，请先合并成一个文档",
                    f"the reference {reference} leaves the document; bundle it into one document first",
                )
            )
        node: Any = self._root
        for segment in reference[2:].split("/"):
            key = unquote(segment).replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or key not in node:
                raise self._wrong(Text(f"引用 {reference} 不存在", f"the reference {reference} points to nothing"))
            node = node[key]
        return node

    def _mapping(self, node: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(node, Mapping):
            raise self._wrong(Text(f"{where or '文档'} 应为对象", f"{where or 'the document'} should be an object"))
        return node

    def _list(self, node: Any, where: str) -> Sequence[Any]:
        if not isinstance(node, list):
            raise self._wrong(Text(f"{where} 应为列表", f"{where} should be a list"))
        return node

    def _wrong(self, reason: Text) -> ConfigurationProblem:
        return ConfigurationProblem(
            Text(
                f"OpenAPI 文档 {place(httpx.URL(self._address))} 无法使用：{reason.zh}",
                f"Cannot use the OpenAPI document {place(httpx.URL(self._address))}: {reason.en}",
            ),
            **NEVER_SENT,
        )


def _preferred(kinds: Sequence[str]) -> str | None:
    """The kind of body that JSON-ready values fit best."""
    for fits in (
        lambda kind: kind == JSON,
        is_json,
        lambda kind: kind == FORM,
        lambda kind: kind == MULTIPART,
    ):
        for kind in kinds:
            if fits(media_type(kind)):
                return kind
    return next(iter(kinds), None)


def _is_binary(field: Mapping[str, Any]) -> bool:
    return field.get("format") == "binary" or "contentMediaType" in field
