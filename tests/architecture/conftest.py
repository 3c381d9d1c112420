"""What the tests of the infrastructure share."""

from typing import Any

import pytest

from tests.support.terraform import compute


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The Terraform configuration with its defaults."""
    return compute(tmp_path_factory.mktemp("terraform"))
