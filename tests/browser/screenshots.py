"""`make screenshots`: every page, light and dark, on a desktop and a tablet, into the ignored folder `screenshots`."""

import argparse
import tempfile
from pathlib import Path
from typing import Final, Literal

from .harness import DESKTOP, TABLET, box_of_a_day, chromium, viewer
from .test_pages import PAGES

_SIZES: Final = {"desktop": DESKTOP, "tablet": TABLET}
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> None:
    """Starts a box of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="paths, such as /cameras; without it all pages")
    parser.add_argument("--to", type=Path, default=Path("screenshots"), help="the folder")
    wanted = parser.parse_args()
    wanted.to.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chromium() as browser, box_of_a_day(Path(place) / "data") as box:
        for size in _SIZES:
            for scheme in _SCHEMES:
                with viewer(browser, box, "ada", size=_SIZES[size], scheme=scheme) as ada:
                    for path in wanted.only or PAGES:
                        page = ada.open(path)
                        page.wait_for_load_state("networkidle")
                        name = path.strip("/").replace("/", "-") or "now"
                        page.screenshot(path=wanted.to / f"{name}-{size}-{scheme}.png", full_page=True)
                        print(f"{name}-{size}-{scheme}.png")


if __name__ == "__main__":
    main()
