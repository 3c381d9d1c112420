"""Whether the server wants to stop: who only waits for something to happen is to answer then."""

from typing import Final

from starlette.types import Scope

#: Of a request's scope; set by the connection.
STOPPING: Final = "framegate.stopping"


def is_stopping(scope: Scope) -> bool:
    """Whether the server of this request wants to stop."""
    return bool(scope.get(STOPPING))
