"""Manifests as text: written new, and amended with what a check found."""

from collections.abc import Mapping
from typing import Any

import tomlkit

from framegate.kernel.manifest import ModelManifest
from framegate.models.parity import ParityReport


def written(document: Mapping[str, Any]) -> str:
    """TOML, in the order of `document`; entries that are None are left out."""
    return tomlkit.dumps(_without_none(document))


def renamed(text: str, identity: Mapping[str, str | None]) -> str:
    """`text` with the entries of `identity` that are not None in place of its own; the rest stays as it is."""
    document: Any = tomlkit.parse(text)
    document.update(_without_none(identity))
    return tomlkit.dumps(document)


def amended(manifest: ModelManifest, report: ParityReport) -> str:
    """The manifest's own text with the answers of `report` in [input] scaled_decoding and [check]; the rest stays as it is.

    Raises `ModelRefused` when the report is about another model.
    """
    report.require_about(manifest)
    document: Any = tomlkit.parse(manifest.text)
    document["input"]["scaled_decoding"] = report.scaled_decoding
    document.pop("check", None)
    document["check"] = _without_none(report.for_manifest())
    return tomlkit.dumps(document)


def _without_none(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(item) if isinstance(item, Mapping) else item
        for key, item in value.items()
        if item is not None
    }
