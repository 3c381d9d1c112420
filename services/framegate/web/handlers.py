"""Every exception of a request becomes a problem here, and nowhere else."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from framegate.kernel.errors import TooBroad, Transient
from framegate.observability.logs import get_log
from framegate.web.edge import OnProblem, request_id
from framegate.web.problems import Problem, invalid, problem_response

#: Of a request's scope: it is for a page, so its problems are shown to people by `app.state.show_problem`.
PAGE: Final = "framegate.page"

_log = get_log(component="web")
_BY_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "payload-too-large", 415: "unsupported-media-type"}


def install_handlers(app: FastAPI, on_problem: OnProblem) -> None:
    """Errors that no handler knows are left to `Edge`."""

    def answer(request: Request, problem: Problem) -> Response:
        on_problem(request.scope, problem.slug)
        if request.scope.get(PAGE) and (show := getattr(request.app.state, "show_problem", None)) is not None:
            shown: Response = show(request, problem)
            return shown
        return problem_response(problem, request_id(request.scope))

    async def on_known(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 (registered for it below)
        return answer(request, error)

    async def on_transient(request: Request, error: Exception) -> Response:
        _log.warning("a dependency does not answer", action="dependency_unavailable", error=str(error))
        return answer(request, unavailable())

    async def on_too_broad(request: Request, error: Exception) -> Response:
        return answer(request, Problem("search-too-broad"))

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return answer(request, from_validation(error.errors()))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        return answer(request, _from_http(app, request, error))

    app.add_exception_handler(Problem, on_known)
    app.add_exception_handler(Transient, on_transient)
    app.add_exception_handler(TooBroad, on_too_broad)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def unavailable() -> Problem:
    """The database, the queue or the blob store does not answer."""
    return Problem("dependency-unavailable", headers={"Retry-After": "5"})


def from_validation(errors: Sequence[Any]) -> Problem:
    """From pydantic's list: names and messages only, never the values that were sent."""
    entries = [(_name(error["loc"]), str(error["type"])) for error in errors]
    unknown = [name for name, kind in entries if kind == "extra_forbidden"]
    if unknown:
        return unknown_parameters(unknown)
    details = tuple(
        {"name": name, "detail": str(error["msg"])} for (name, _), error in zip(entries, errors, strict=True)
    )
    return Problem("invalid-parameter", f"{details[0]['name']}: {details[0]['detail']}", errors=details)


def _name(location: Sequence[str | int]) -> str:
    if not location:
        return "body"
    last = location[-1]
    return f"{location[-2]}[{last}]" if isinstance(last, int) and len(location) > 1 else str(last)


def unknown_parameters(names: Sequence[str]) -> Problem:
    """Names are shown only as far as they are harmless."""
    shown = [name for name in names if name.isascii() and name.isprintable() and len(name) <= 64][:5]
    detail = f"Unknown here: {', '.join(shown)}." if shown else None
    return Problem("unknown-parameter", detail, errors=tuple({"name": name, "detail": "unknown"} for name in shown))


def _from_http(app: FastAPI, request: Request, error: HTTPException) -> Problem:
    if error.status_code == 405:
        # The router names the methods of the first route of this path only.
        methods: set[str] = set()
        for route in app.routes:
            if route.matches(request.scope)[0] is not Match.NONE:
                methods |= getattr(route, "methods", None) or set()
        return Problem("method-not-allowed", headers={"Allow": ", ".join(sorted(methods))})
    if error.status_code in _BY_STATUS:
        return Problem(_BY_STATUS[error.status_code])
    return invalid("body", "cannot be read") if error.status_code == 422 else Problem("malformed-request")
