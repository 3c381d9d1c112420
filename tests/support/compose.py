"""docker-compose.yml as Docker Compose reads it, as far as ours uses it; what it does not know raises."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<text>[^}]*))?\}|(?P<short>\w+))")
_ENV = re.compile(r"^ENV ((?:.*\\\n)*.*)", re.MULTILINE)


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """`${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `$$` in every string below `value`, but not in keys.

    Source: Compose specification, "Interpolation".
    """
    if isinstance(value, dict):
        return {key: interpolate(below, variables) for key, below in value.items()}
    if isinstance(value, list):
        return [interpolate(below, variables) for below in value]
    return _VARIABLE.sub(lambda match: _resolve(match, variables), value) if isinstance(value, str) else value


def _resolve(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match[0] == "$$":
        return "$"
    name, how, text = match["name"] or match["short"], match["how"] or "", match["text"] or ""
    found = variables.get(name)
    if found is None or (how.startswith(":") and not found):
        if how.endswith("?"):
            raise LookupError(f"{name}: {text}")
        return text if how.endswith("-") else ""
    return found


def env_file(path: Path) -> dict[str, str]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def environment_of_image(dockerfile: Path) -> dict[str, str]:
    """What its ENV instructions set for us; its PATH is about the image's file system."""
    pairs = " ".join(_ENV.findall(dockerfile.read_text("utf-8"))).replace("\\\n", " ").split()
    return dict(pair.split("=", 1) for pair in pairs if pair.startswith("FRAMEGATE_"))


@dataclass(frozen=True, slots=True)
class Service:
    """One entry below `services`, interpolated."""

    name: str
    spec: dict[str, Any]

    @property
    def is_ours(self) -> bool:
        return "build" in self.spec

    @property
    def command(self) -> list[str]:
        return list(self.spec.get("command", []))

    @property
    def stage(self) -> str | None:
        return self.command[1] if self.is_ours and self.command[0] == "run" else None

    @property
    def dockerfile(self) -> Path:
        return ROOT / self.spec["build"]["dockerfile"]

    @property
    def environment(self) -> dict[str, str]:
        """The image's, then each env_file, then `environment`; the later wins."""
        found = environment_of_image(self.dockerfile) if self.is_ours else {}
        for path in self.spec.get("env_file", []):
            found |= env_file(ROOT / path)
        return found | {key: str(value) for key, value in self.spec.get("environment", {}).items()}

    @property
    def replicas(self) -> int:
        return int(self.spec.get("deploy", {}).get("replicas", 1))

    @property
    def waits_for(self) -> dict[str, str]:
        """The condition of each service that it depends on."""
        return {name: how["condition"] for name, how in self.spec.get("depends_on", {}).items()}

    @property
    def health_command(self) -> list[str] | None:
        check = self.spec.get("healthcheck", {})
        if not check or check.get("disable"):
            return None
        form, *command = check["test"]
        assert form == "CMD", f"{self.name}: only health checks without a shell are understood"
        return command


def services(variables: Mapping[str, str], profiles: Iterable[str] | None = None) -> dict[str, Service]:
    """By name; only those of `profiles` and of none where profiles are given."""
    document = interpolate(yaml.safe_load(FILE.read_text("utf-8")), variables)
    active = None if profiles is None else set(profiles)
    return {
        name: Service(name, spec)
        for name, spec in document["services"].items()
        if active is None or not spec.get("profiles") or active & set(spec["profiles"])
    }


def in_order(found: Mapping[str, Service]) -> list[Service]:
    """Each after all that it depends on; raises KeyError where that is not among `found`."""
    ordered: dict[str, Service] = {}

    def place(name: str) -> None:
        for before in found[name].waits_for:
            if before not in ordered:
                place(before)
        ordered.setdefault(name, found[name])

    for name in found:
        place(name)
    return list(ordered.values())
