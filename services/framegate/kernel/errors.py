"""Errors, grouped by what the caller can do about them."""

import inspect


class FramegateError(Exception):
    """Framegate could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        """The class's docstring is the message when none is given."""
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or type(self).__name__))


class Transient(FramegateError):
    """A dependency is not available at the moment: try again later. Never charged to an image."""


class DependencyUnavailable(Transient):
    """The database, the queue or the blob store does not answer: check that it runs and is reachable."""


class TooBroad(FramegateError):
    """The search reads too much: narrow the time, or name a camera."""


class BlobMissing(FramegateError):
    """The blob store has no object under this key."""


class InvalidFrame(FramegateError):
    """The image itself is at fault; trying again cannot help. `reason` is the stable slug people see."""

    def __init__(self, reason: str, detail: str) -> None:
        """`reason` is kebab-case (`truncated`), `detail` one sentence for people."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class DecoderCrashed(FramegateError):
    """The process that decoded this image, and only this image, died or ran over its limits."""


class EngineFault(FramegateError):
    """The engine refused a batch or returned output that must not be trusted (NaN, a wrong shape)."""


class Unrecoverable(FramegateError):
    """This process cannot do useful work any more (a lost CUDA context): it must exit and be restarted."""


class ConfigurationError(FramegateError):
    """A setting is wrong; the message names it and the remedy."""


class ModelRefused(ConfigurationError):
    """The model cannot be served; the message names the file and the remedy."""
