"""The secret that keys are hashed with, and cursors, links and messages signed."""

import os
import secrets
from contextlib import suppress

from framegate.observability.redaction import keep_secret
from framegate.settings import Settings


def read_pepper(settings: Settings) -> bytes:
    """From the setting, or from a file in the data directory that is made at its first use (0600). Never logged."""
    pepper = _pepper(settings)
    keep_secret(pepper)
    return pepper.encode()


def _pepper(settings: Settings) -> str:
    if settings.pepper is not None:
        return settings.pepper.get_secret_value()
    file = settings.pepper_file or settings.data / "secrets" / "pepper"
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as new:
            new.write(secrets.token_hex(32))
            new.flush()
            os.fsync(new.fileno())
        # A link appears whole or not at all, and never replaces the file of a process that was faster.
        with suppress(FileExistsError):
            os.link(draft, file)
        draft.unlink()
    return file.read_text("ascii").strip()
