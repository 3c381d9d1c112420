"""The OpenAPI document: FastAPI's own, completed with problems, permissions and headers."""

from collections import defaultdict
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from framegate.web.logins import COOKIE, CSRF_HEADER
from framegate.web.permissions import permission_of
from framegate.web.problems import KINDS, MEDIA_TYPE, PROBLEMS_PATH

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Problem",
    "description": "An error as in RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Identifies the kind of problem."},
        "title": {"type": "string", "description": "The kind in words; always the same for a type."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What is wrong with this request, and what to do."},
        "instance": {"type": "string", "description": "The id of this request, for the operator."},
        "errors": {
            "type": "array",
            "description": "Parameters that are at fault.",
            "items": {
                "type": "object",
                "required": ["name", "detail"],
                "properties": {"name": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
#: What any route may answer, and what any route with a permission may.
ANYWHERE: Final = ("malformed-request", "not-acceptable", "unknown-parameter", "headers-too-large", "internal-error")
AUTHENTICATED: Final = (
    *ANYWHERE, "unauthenticated", "insufficient-scope", "csrf-token-invalid", "facility-disabled", "not-found",
    "invalid-parameter", "rate-limited", "dependency-unavailable",
)  # fmt: skip
_RETRY_AFTER = {"description": "Seconds to wait before the same request may succeed.", "schema": {"type": "integer"}}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}}},
    405: {"Allow": {"description": "The methods of this address.", "schema": {"type": "string"}}},
    429: {"Retry-After": _RETRY_AFTER},
    503: {"Retry-After": _RETRY_AFTER},
}


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these problems."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for slug in dict.fromkeys(slugs):
        by_status[KINDS[slug].status].append(slug)
    return {status: _response(status, found) for status, found in sorted(by_status.items())}


def _response(status: int, slugs: list[str]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": "; ".join(f"`{slug}`: {KINDS[slug].title}" for slug in slugs),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {slug: {"value": _example(slug)} for slug in slugs},
            }
        },
    }
    return response | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _example(slug: str) -> dict[str, Any]:
    kind = KINDS[slug]
    return {
        "type": PROBLEMS_PATH + slug,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.remedy,
        "instance": "urn:uuid:0b6f2c52-64ac-4d7b-a6b1-7f9a4c9d2f1e",
    }


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The document of all routes; made once and kept by FastAPI's rule in `app.openapi_schema`."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, summary=app.summary, routes=app.routes
        )
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "An API key: `fg_live_…`."},
            "login": {
                "type": "apiKey",
                "in": "cookie",
                "name": COOKIE,
                "description": f"Of a person at `/login`. Unless it only reads, a request then needs `{CSRF_HEADER}`.",
            },
            "link": {
                "type": "apiKey",
                "in": "query",
                "name": "signature",
                "description": "With `expires`: a signed link, as messages of hooks have it.",
            },
        }
        for route in app.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                _complete(document, route)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(document: dict[str, Any], route: APIRoute) -> None:
    permission = permission_of(route)
    for method in route.methods or ():
        operation = document["paths"][route.path_format][method.lower()]
        if permission is not None and permission.scope is not None:
            login: list[dict[str, list[str]]] = [{"login": []}] if permission.people else []
            operation["security"] = [{"key": []}, *login, *([{"link": []}] if permission.or_link else [])]
            text = operation.get("description", "").rstrip()
            link = ", or a signed link" if permission.or_link else ""
            operation["description"] = f"{text}\n\nNeeds a key with the scope `{permission.scope}`{link}."
        else:
            operation["security"] = []
