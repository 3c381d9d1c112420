"""Lists of class names as people write them: one name a line, in the order of the class numbers."""

from pathlib import Path

from framegate.kernel.errors import ModelRefused


def read_classes(file: Path) -> tuple[str, ...]:
    """Lines that are empty or begin with # do not count; a byte order mark and CRLF do no harm. Raises `ModelRefused`."""
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise ModelRefused(f"cannot read the class names in {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ModelRefused(f"{file} is not text in UTF-8 ({error.reason}): write one class name a line") from error
    names: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if not name.isprintable():
            raise ModelRefused(f"{file}, line {number}: {name!r} holds characters that cannot be shown")
        if name in names:
            raise ModelRefused(
                f"{file}, line {number}: {name!r} stands in line {names[name]} already; names must differ"
            )
        names[name] = number
    if not names:
        raise ModelRefused(f"{file} holds no class names: write one a line, in the order of the class numbers")
    return tuple(names)
