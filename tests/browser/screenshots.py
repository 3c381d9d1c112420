"""`make screenshots`: every page, light and dark, on a desktop and a tablet, into the ignored folder `screenshots`."""

import argparse
import re
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from playwright.sync_api import Page

from .harness import DESKTOP, TABLET, box_of_a_day, chromium, viewer
from .test_pages import PAGES

#: The newest image with each end.
_IMAGES: Final = {
    **{f"inspection-{end}": f"/inspections?effective={end}" for end in ("pass", "fail", "review")},
    "inspection-rejected": "/inspections?state=rejected",
}
_SIZES: Final = {"desktop": DESKTOP, "tablet": TABLET}
_README: Final = (1280, 800)
_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


def main() -> None:
    """Starts a box of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="paths, such as /cameras; without it all pages")
    parser.add_argument(
        "--readme", action="store_true", help="instead: the few that README.md shows, into docs/pictures"
    )
    parser.add_argument("--to", type=Path, default=Path("screenshots"), help="the folder")
    wanted = parser.parse_args()
    if wanted.readme:
        shoot_readme(Path("docs") / "pictures")
        return
    wanted.to.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chromium() as browser, box_of_a_day(Path(place) / "data") as box:
        for size in _SIZES:
            for scheme in _SCHEMES:
                with viewer(browser, box, "ada", size=_SIZES[size], scheme=scheme) as ada:
                    for path in wanted.only or PAGES:
                        page = ada.open(path)
                        shoot(
                            page,
                            wanted.to / f"{re.sub('[^a-z0-9]+', '-', path.strip('/')) or 'now'}-{size}-{scheme}.png",
                        )
                    for name, path in {} if wanted.only else _IMAGES.items():
                        page = ada.open(path)
                        page.locator("tbody a").first.click()
                        page.wait_for_url("**/inspections/*")
                        shoot(page, wanted.to / f"{name}-{size}-{scheme}.png")


def shoot_readme(to: Path) -> None:
    """What fits a screen, as small files."""
    to.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        chromium() as browser,
        box_of_a_day(Path(place) / "data") as box,
        viewer(browser, box, "ada", size=_README) as ada,
    ):
        for name, path in {"now": "/", "review": "/review", "inspection": _IMAGES["inspection-fail"]}.items():
            page = ada.open(path)
            if name == "inspection":
                page.locator("tbody a").first.click()
                page.wait_for_url("**/inspections/*")
            page.wait_for_load_state("networkidle")
            picture = Image.open(BytesIO(page.screenshot()))
            picture.save(to / f"{name}.webp", quality=80, method=6)
            print(f"{name}.webp")


def shoot(page: Page, to: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=to, full_page=True)
    print(to.name)


if __name__ == "__main__":
    main()
