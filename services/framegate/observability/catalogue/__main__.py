"""`python -m framegate.observability.catalogue > docs/metrics.md`."""

import sys

from framegate.observability.catalogue import GROUPS
from framegate.observability.catalogue.page import page

if __name__ == "__main__":
    sys.stdout.write(page(GROUPS))
