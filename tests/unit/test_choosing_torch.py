"""Asking for what an extra brings, without the extra."""

import sys

import pytest

from framegate.bootstrap import make_engine, make_trainer
from framegate.kernel.errors import ConfigurationError
from framegate.kernel.manifest import ModelManifest
from framegate.settings import Settings
from framegate.starter import starter_dir


def test_the_engine_torch_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("framegate.adapters.engine_torch")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'framegate\[torch\]'"):
        make_engine(Settings.read(engine="torch"), ModelManifest.load(starter_dir()))


def test_training_without_its_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "framegate.adapters.training_ultralytics", raising=False)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'framegate\[train\]'"):
        make_trainer()
