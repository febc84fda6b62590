"""A shop's API described in OpenAPI 2.0, 3.0 and 3.1; every operation is answered by an echo below `/echo/shop`."""

from typing import Any

_ORDER = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
    "required": ["sku"],
}

SWAGGER_2: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Shop", "version": "1"},
    "basePath": "/echo/shop",
    "consumes": ["application/xml", "application/json"],
    "parameters": {"Page": {"name": "page", "in": "query", "type": "integer"}},
    "paths": {
        "/orders": {
            "get": {
                "operationId": "findOrders",
                "parameters": [
                    {
                        "name": "status",
                        "in": "query",
                        "required": True,
                        "type": "array",
                        "items": {"type": "string"},
                        "collectionFormat": "multi",
                    },
                    {"name": "fields", "in": "query", "type": "array", "items": {"type": "string"}},
                    {"name": "tags", "in": "query", "type": "array", "collectionFormat": "pipes"},
                    {"$ref": "#/parameters/Page"},
                ],
            },
            "post": {
                "operationId": "placeOrder",
                "parameters": [
                    {"name": "order", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Order"}}
                ],
            },
        },
        "/orders/{orderId}": {
            "parameters": [{"name": "orderId", "in": "path", "required": True, "type": "integer"}],
            "get": {
                "operationId": "getOrder",
                "parameters": [{"name": "X-Shop", "in": "header", "type": "string"}],
            },
            "post": {
                "operationId": "updateOrderWithForm",
                "consumes": ["application/x-www-form-urlencoded"],
                "parameters": [
                    {"name": "status", "in": "formData", "required": True, "type": "string"},
                    {"name": "note", "in": "formData", "type": "string"},
                ],
            },
        },
        "/orders/{orderId}/photo": {
            "post": {
                "operationId": "addPhoto",
                "parameters": [
                    {"name": "orderId", "in": "path", "required": True, "type": "integer"},
                    {"name": "photo", "in": "formData", "type": "file"},
                ],
            }
        },
    },
    "definitions": {"Order": _ORDER},
}


def openapi_3(version: str) -> dict[str, Any]:
    """The same API in 3.0 or 3.1, with what 2.0 cannot say."""
    return {
        "openapi": version,
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "/echo/{area}", "variables": {"area": {"default": "shop"}}}, {"url": "http://other.test"}],
        "paths": {
            "/orders": {
                "get": {
                    "operationId": "findOrders",
                    "parameters": [
                        {"name": "status", "in": "query", "required": True, "schema": {"type": "array"}},
                        {"name": "fields", "in": "query", "explode": False, "schema": {"type": "array"}},
                        {"name": "tags", "in": "query", "style": "pipeDelimited", "explode": False, "schema": {}},
                        {"name": "filter", "in": "query", "style": "deepObject", "explode": True, "schema": {}},
                        {"name": "where", "in": "query", "content": {"application/json": {"schema": {}}}},
                        {"name": "page", "in": "query", "schema": {"type": "integer"}},
                        {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                    ],
                },
                "post": {"operationId": "placeOrder", "requestBody": {"$ref": "#/components/requestBodies/Order"}},
            },
            "/orders/{orderId}": {
                "parameters": [{"$ref": "#/components/parameters/OrderId"}],
                "get": {
                    "operationId": "getOrder",
                    "parameters": [{"name": "X-Shop", "in": "header", "schema": {"type": "string"}}],
                },
                "post": {
                    "operationId": "updateOrderWithForm",
                    "requestBody": {
                        "required": True,
                        "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
                    },
                },
                "delete": {
                    "operationId": "cancelOrder",
                    "servers": [{"url": "../echo/elsewhere/"}],
                },
            },
            "/orders/{orderId}/photo": {
                "post": {
                    "operationId": "addPhoto",
                    "parameters": [{"$ref": "#/components/parameters/OrderId"}],
                    "requestBody": {
                        "content": {
                            "multipart/form-data": {
                                "schema": {"properties": {"photo": {"type": "string", "format": "binary"}}}
                            }
                        }
                    },
                }
            },
            "/elsewhere": {"$ref": "other.yaml#/paths/elsewhere"},
        },
        "components": {
            "parameters": {
                "OrderId": {"name": "orderId", "in": "path", "required": True, "schema": {"type": "integer"}}
            },
            "requestBodies": {
                "Order": {
                    "required": True,
                    "content": {
                        "application/xml": {},
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}},
                    },
                }
            },
            "schemas": {"Order": _ORDER},
        },
    }
