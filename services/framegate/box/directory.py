"""The data directory of a box."""

from pathlib import Path

from framegate.kernel.errors import ConfigurationError


def prepare_data_dir(data: Path) -> Path:
    """Makes the directory (0700) and returns its absolute path; raises `ConfigurationError` with the remedy."""
    data = data.expanduser().resolve()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(f"cannot write to the data directory {data}: {error.strerror or error}") from error
    return data
