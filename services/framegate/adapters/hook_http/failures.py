"""Why nothing was answered."""

from framegate.kernel.errors import FramegateError
from framegate.ports.hooks import Reason


class Unanswered(FramegateError):
    """No answer came; `reason` says why. The message never holds an address that a name resolved to."""

    def __init__(self, reason: Reason, message: str) -> None:
        """`message`: one sentence for people."""
        super().__init__(message)
        self.reason = reason
