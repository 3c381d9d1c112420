"""The API keeps what its OpenAPI document promises, whatever is sent."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, seed, settings
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from framegate.adapters.memory import MemoryHook
from framegate.ingest.app import ROUTERS
from framegate.kernel.inspection import Label
from framegate.kernel.states import Scope
from framegate.ports.hooks import HookKind
from framegate.web.openapi import build_openapi
from framegate.web.permissions import permission_of
from tests.unit.ingest.fakes import ApiBox
from tests.unit.ingest.test_reading import add, decide

_EXAMPLES = 25
_CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]


@asynccontextmanager
async def _stays_open(_: object) -> AsyncIterator[None]:
    yield


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiBox]:
    made = ApiBox(tmp_path_factory.mktemp("spool"), hooks=dict.fromkeys(HookKind, MemoryHook()))
    made.app.router.lifespan_context = _stays_open  # schemathesis starts and ends the application for every call
    labels = Label(0, "wear@1", "crushed", 0.93), Label(None, "scene@2", "dock", 0.5)
    for _ in range(3):
        decide(made, add(made, metadata={"dock": "D1"}), labels=labels, dent=0.9)
    made.store.workers.report("w", list(made.deps.required_stages), ready=True, reason="", metrics_port=None)
    yield made
    made.close()


@pytest.fixture(scope="module")
def schema(box: ApiBox) -> OpenApiSchema:
    """Read once: for each reading the code of the application is looked through for constants to try."""
    return schemathesis.openapi.from_asgi("/openapi.json", box.app)


@pytest.fixture(scope="module")
def document(box: ApiBox) -> dict[str, Any]:
    return build_openapi(box.app)


_OPERATIONS = [
    (route.path_format, method)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
    for method in sorted(route.methods or ())
]
#: Where any text is a fine path and there are no parameters, nothing can be sent that the document forbids.
_WITHOUT_WRONG_INPUT = {
    "/healthz", "/readyz", "/problems/{slug}", "/v1/models", "/v1/models/{ref}", "/v1/deployments/rollback",
}  # fmt: skip
_GENERATED = [
    (path, method, mode)
    for path, method in _OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or path not in _WITHOUT_WRONG_INPUT
]


@pytest.mark.parametrize(("path", "method", "mode"), _GENERATED)
def test_whatever_is_sent_the_answer_is_one_of_the_documented_ones(
    box: ApiBox, schema: OpenApiSchema, path: str, method: str, mode: GenerationMode
) -> None:
    headers = {"Authorization": f"Bearer {box.add_key(scopes=frozenset(Scope))}"}
    strategy = schema[path][method].as_strategy(generation_mode=mode)

    @seed(20261123)
    @settings(max_examples=_EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=strategy)
    def answers_as_documented(case: schemathesis.Case[Any]) -> None:
        if "wait" in (case.query or {}):
            case.query["wait"] = 0  # waiting is tested where it costs nothing
        response = case.call(headers=headers)
        case.validate_response(response, checks=_CHECKS, headers=headers)

    answers_as_documented()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_parameter_operation_and_answer_is_described(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["description"].strip(), (path, method)
        assert operation["summary"], (path, method)
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, status)


def test_every_error_is_documented_as_a_problem_with_an_example_that_fits_it(document: dict[str, Any]) -> None:
    problem = Draft202012Validator(document["components"]["schemas"]["Problem"])
    for path, _, operation in operations(document):
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert {"400", "406", "500"} <= errors.keys(), path
        for status, answer in errors.items():
            if path == "/readyz" and status == "503":
                continue
            content = answer["content"]["application/problem+json"]
            for example in content["examples"].values():
                problem.validate(example["value"])
                assert example["value"]["status"] == int(status)


def test_every_operation_says_which_scope_it_needs_or_that_it_needs_none(box: ApiBox, document: dict[str, Any]) -> None:
    seen = {}
    for route in box.app.routes:
        permission = permission_of(route)
        assert permission is not None
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            link = [{"link": []}] if permission.or_link else []
            login = [{"login": []}] if permission.people else []
            assert permission.people == (permission.scope not in (None, Scope.IMAGES_WRITE))
            assert operation["security"] == ([{"key": []}, *login, *link] if permission.scope else [])
            assert permission.scope is None or f"`{permission.scope}`" in operation["description"]
            seen[f"{method} {route.path}"] = permission.scope
    assert [route for route in box.app.routes if _opens_to_links(route)] == [
        route for route in box.app.routes if getattr(route, "path", "") == "/v1/images/{image_id}/content"
    ]
    assert seen == {
        "POST /v1/images": Scope.IMAGES_WRITE,
        "POST /v1/uploads": Scope.IMAGES_WRITE,
        "POST /v1/uploads/{upload_id}/complete": Scope.IMAGES_WRITE,
        "GET /v1/images": Scope.RESULTS_READ,
        "GET /v1/images/{image_id}": Scope.RESULTS_READ,
        "GET /v1/images/{image_id}/content": Scope.RESULTS_READ,
        "GET /v1/images/{image_id}/evidence": Scope.RESULTS_READ,
        "GET /v1/drift": Scope.RESULTS_READ,
        "POST /v1/drift/{kind}/{name}/freeze": Scope.ADMIN,
        "GET /v1/outcomes": Scope.RESULTS_READ,
        "GET /v1/cameras": Scope.RESULTS_READ,
        "POST /v1/cameras": Scope.ADMIN,
        "POST /v1/cameras/{camera}/suspend": Scope.ADMIN,
        "POST /v1/cameras/{camera}/resume": Scope.ADMIN,
        "GET /v1/policy": Scope.RESULTS_READ,
        "GET /v1/policy/history": Scope.RESULTS_READ,
        "GET /v1/policy/{version}": Scope.RESULTS_READ,
        "POST /v1/policy/check": Scope.ADMIN,
        "POST /v1/policy/simulate": Scope.ADMIN,
        "PUT /v1/policy": Scope.ADMIN,
        "GET /v1/models": Scope.RESULTS_READ,
        "GET /v1/models/{ref}": Scope.RESULTS_READ,
        "POST /v1/models/{ref}/approve": Scope.MODELS_MANAGE,
        "GET /v1/deployments": Scope.RESULTS_READ,
        "POST /v1/deployments": Scope.MODELS_MANAGE,
        "POST /v1/deployments/rollback": Scope.MODELS_MANAGE,
        "GET /v1/dead-letters": Scope.ADMIN,
        "POST /v1/dead-letters/redrive": Scope.ADMIN,
        "GET /v1/keys": Scope.ADMIN,
        "POST /v1/keys": Scope.ADMIN,
        "POST /v1/keys/{key_id}/rotate": Scope.ADMIN,
        "DELETE /v1/keys/{key_id}": Scope.ADMIN,
        "GET /v1/people": Scope.ADMIN,
        "POST /v1/people": Scope.ADMIN,
        "PUT /v1/people/{name}/roles/{facility}": Scope.ADMIN,
        "POST /v1/people/{name}/invite": Scope.ADMIN,
        "POST /v1/people/{name}/disable": Scope.ADMIN,
        "POST /v1/people/{name}/enable": Scope.ADMIN,
        "GET /v1/stats": Scope.RESULTS_READ,
        "GET /v1/incidents": Scope.RESULTS_READ,
        "GET /v1/incidents/{incident_id}": Scope.RESULTS_READ,
        "POST /v1/incidents/{incident_id}/acknowledge": Scope.REVIEWS_WRITE,
        "POST /v1/incidents/{incident_id}/resolve": Scope.REVIEWS_WRITE,
        "POST /v1/reviews/next": Scope.REVIEWS_WRITE,
        "POST /v1/reviews/{item}/decide": Scope.REVIEWS_WRITE,
        "POST /v1/reviews/{item}/skip": Scope.REVIEWS_WRITE,
        "POST /v1/reviews/{item}/release": Scope.REVIEWS_WRITE,
        "POST /v1/reviews/{review}/undo": Scope.REVIEWS_WRITE,
        "GET /v1/reviews/stats": Scope.RESULTS_READ,
        "GET /v1/hooks": Scope.HOOKS_MANAGE,
        "POST /v1/hooks": Scope.HOOKS_MANAGE,
        "GET /v1/hooks/dead": Scope.HOOKS_MANAGE,
        "POST /v1/hooks/replay": Scope.HOOKS_MANAGE,
        "GET /v1/hooks/{endpoint_id}": Scope.HOOKS_MANAGE,
        "DELETE /v1/hooks/{endpoint_id}": Scope.HOOKS_MANAGE,
        "POST /v1/hooks/{endpoint_id}/rotate": Scope.HOOKS_MANAGE,
        "POST /v1/hooks/{endpoint_id}/enable": Scope.HOOKS_MANAGE,
        "POST /v1/hooks/{endpoint_id}/test": Scope.HOOKS_MANAGE,
        "GET /v1/hooks/{endpoint_id}/deliveries": Scope.HOOKS_MANAGE,
        "GET /v1/hooks/{endpoint_id}/attempts": Scope.HOOKS_MANAGE,
        "GET /healthz": None,
        "GET /readyz": None,
        "GET /problems/{slug}": None,
    }


def _opens_to_links(route: object) -> bool:
    permission = permission_of(route)
    return permission is not None and permission.or_link


def test_no_reference_of_the_document_leads_nowhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
            node = list(node.values())
        for entry in node if isinstance(node, list) else []:
            yield from references(entry)

    found = set(references(document))
    assert found
    assert {reference for reference in found if reference.removeprefix("#/components/schemas/") not in schemas} == set()
