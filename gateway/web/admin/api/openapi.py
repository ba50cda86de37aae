"""The OpenAPI 3.1 document: made from the route list and the schemas of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import voluptuous as vol
from voluptuous_openapi import UNSUPPORTED, OpenApiVersion, convert

from gateway import __version__
from gateway.web.admin.api.endpoint import PREFIX, Endpoint, Path
from gateway.web.admin.api.fields import NAME, Field
from gateway.web.admin.api.fields import PATH as NAMES
from gateway.web.admin.problems import PROBLEM

ERROR = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
LINK = {"description": 'The next page, with rel="next"; missing on the last page.', "schema": {"type": "string"}}
ABOUT = (
    "Operators read and mend a gateway here. What a role may not see does not exist for it: 404. "
    "Times are ISO 8601 in UTC. Lists are pages, linked by the header Link. Errors are problem details (RFC 9457)."
)


def describe_api(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the document. It has no secret, and no name of the configuration."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "CloudSignal Gateway", "version": __version__, "description": ABOUT},
        "servers": [{"url": PREFIX.rstrip("/")}],
        "security": [{"token": []}],
        "paths": {f"/{path.pattern}": describe_path(path) for path in paths},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": ERROR},
            "responses": {
                "Problem": {
                    "description": "The request can't be answered; `detail` says why.",
                    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def describe_path(path: Path) -> dict[str, Any]:
    """Return a path item."""
    found: dict[str, Any] = {method.lower(): describe(path, method, each) for method, each in path.methods.items()}
    if path.names:
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": to_schema(NAMES.get(name, NAME))}
            for name in path.names
        ]
    return found


def describe(path: Path, method: str, endpoint: Endpoint) -> dict[str, Any]:
    """Return an operation."""
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}_{path.pattern}".replace("/", "_").replace("{", "").replace("}", ""),
        "summary": endpoint.summary,
        "parameters": [describe_parameter(key, check) for key, check in endpoint.query.items()],
        "responses": {str(code): describe_answer(code, shape, endpoint) for code, shape in endpoint.answers.items()},
    }
    if endpoint.body is not None:
        schema = {**to_schema(endpoint.body), "additionalProperties": False}
        if endpoint.one_of:
            schema["anyOf"] = [{"required": [name]} for name in endpoint.one_of]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    problem = {"$ref": "#/components/responses/Problem"}
    found["responses"] |= {str(code): problem for code in statuses(path, endpoint)} | {"default": problem}
    return found


def statuses(path: Path, endpoint: Endpoint) -> Sequence[int]:
    """Return the statuses of problems that an operation is likely to answer."""
    body = [400, 403, 415] if endpoint.body is not None else [400] if endpoint.query else []
    return [*body, 401, *([404] if path.names else []), 429, 503]


def describe_parameter(key: Any, check: Any) -> dict[str, Any]:
    """Return a parameter of a query."""
    schema = to_schema(check)
    if key.default is not vol.UNDEFINED:
        schema["default"] = key.default()
    found = {"name": str(key.schema), "in": "query", "required": isinstance(key, vol.Required), "schema": schema}
    return {**found, "description": key.description} if key.description else found


def describe_answer(code: int, shape: Any, endpoint: Endpoint) -> dict[str, Any]:
    """Return a response."""
    found: dict[str, Any] = {"description": HTTPStatus(code).phrase}
    schema = {"type": "string"} if shape is None else to_schema(shape)
    found["content"] = {endpoint.media: {"schema": schema}}
    if endpoint.paged:
        found["headers"] = {"Link": LINK}
    return found


def to_schema(shape: Any) -> dict[str, Any]:
    """Return the JSON Schema of a voluptuous schema."""
    found: dict[str, Any] = convert(shape, custom_serializer=show_field, openapi_version=OpenApiVersion.V3_1)
    return found


def show_field(schema: Any) -> Mapping[str, Any] | object:
    """Return the JSON Schema of a Field; leave the others to voluptuous_openapi."""
    return dict(schema.schema) if isinstance(schema, Field) else UNSUPPORTED
