"""Where people are sent after they have logged in."""

import re
from typing import Final

HOME: Final = "/"
#: A path of this origin. Browsers read `//host` and `/\\host` as another host, and drop tabs and line ends before.
_LOCAL: Final = re.compile(r"/(?![/\\])[!-\[\]-~]{0,1000}")


def local_place(text: str | None) -> str:
    """`text` if it is a path here, and `HOME` for anything else."""
    return text if text is not None and _LOCAL.fullmatch(text) else HOME
