"""infra/kubernetes as `kubectl kustomize` renders it, and what the tests ask of the result."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from framegate.kernel.states import Stage
from framegate.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra/kubernetes"
OVERLAYS = sorted(file.parent.name for file in FOLDER.glob("overlays/*/kustomization.yaml"))
ON_AWS = [overlay for overlay in OVERLAYS if overlay.startswith("aws")]
#: What stands for a secret's value, which is not in the repository.
SECRET = "secret"
#: The oldest Kubernetes that has all that is used here, and the newest that the validator knows.
VERSIONS = ("1.32", kubernetes_validate.latest_version())

Doc = Mapping[str, Any]

# It would read megabytes of definitions for every document.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


def validate(doc: Doc, version: str) -> None:
    """Raises `kubernetes_validate.ValidationError` also for fields that this Kubernetes does not know."""
    kubernetes_validate.validate(doc, version, strict=True)


def kubectl() -> str:
    """The one of the extra dev, else the one on the path; 1.21 is the first that knows components."""
    found = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
    if found is None:
        assert not os.environ.get("CI"), "kubectl is not installed: the extra dev brings it on Linux x86-64"
        pytest.skip("kubectl is not installed: the extra dev brings it on Linux x86-64")
    return found


def kustomize(directory: Path) -> str:
    """The rendered YAML."""
    done = subprocess.run([kubectl(), "kustomize", directory], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def render(overlay: str) -> tuple[Doc, ...]:
    """The documents of an overlay; do not change them."""
    return tuple(yaml.safe_load_all(kustomize(FOLDER / "overlays" / overlay)))


def of_kind(docs: Iterable[Doc], *kinds: str) -> list[Doc]:
    """In the order of the rendering."""
    return [doc for doc in docs if doc["kind"] in kinds]


def by_name(docs: Iterable[Doc], kind: str, name: str) -> Doc:
    """Exactly one."""
    (found,) = [doc for doc in docs if doc["kind"] == kind and doc["metadata"]["name"] == name]
    return found


@dataclass(frozen=True)
class Pod:
    """A pod template with one container."""

    owner: Doc
    docs: tuple[Doc, ...]

    @property
    def name(self) -> str:
        """Of what makes the pods."""
        return str(self.owner["metadata"]["name"])

    @property
    def template(self) -> Doc:
        """Metadata and spec."""
        return self.owner["spec"]["template"]

    @property
    def labels(self) -> Mapping[str, str]:
        """What selectors see."""
        return self.template["metadata"]["labels"]

    @property
    def spec(self) -> Doc:
        """The pod's."""
        return self.template["spec"]

    @property
    def container(self) -> Doc:
        """Its only one."""
        assert "initContainers" not in self.spec
        (found,) = self.spec["containers"]
        return found

    @property
    def is_ours(self) -> bool:
        """Runs an image of this repository."""
        return self.labels["app.kubernetes.io/name"] == "framegate"

    @property
    def stage(self) -> Stage | None:
        """None for jobs and for what is not ours."""
        args = self.container.get("args", [])
        return Stage(args[1]) if args[:1] == ["run"] else None

    @property
    def dockerfile(self) -> Path:
        """Of one of our images, whatever registry it comes from."""
        name = self.container["image"].rpartition(":")[0].rpartition("/")[2].removeprefix("framegate-")
        return ROOT / f"infra/docker/{name}.Dockerfile"

    @property
    def environment(self) -> dict[str, str]:
        """As the process finds it, without what the image sets."""
        found: dict[str, str] = {}
        for source in self.container.get("envFrom", []):
            found |= by_name(self.docs, "ConfigMap", source["configMapRef"]["name"])["data"]
        for entry in self.container.get("env", []):
            found[entry["name"]] = entry.get("value", SECRET)
        return found

    @property
    def settings(self) -> Settings:
        """As the process reads them."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return Settings.read()

    @property
    def ports(self) -> dict[str, int]:
        """By name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}

    @property
    def listens_on(self) -> int:
        """The port of its probes, as its settings name it."""
        return self.settings.api.port if self.stage is Stage.INGEST else self.settings.worker.port

    def matches(self, selector: Doc) -> bool:
        """Whether a label selector chooses it; an empty one chooses everything."""
        wanted = selector.get("matchLabels", {}).items() <= self.labels.items()
        return wanted and all(
            expression["operator"] == "In" and self.labels.get(expression["key"]) in expression["values"]
            for expression in selector.get("matchExpressions", [])
        )


def pods(overlay: str) -> list[Pod]:
    """Of everything that makes pods."""
    docs = render(overlay)
    return [Pod(doc, docs) for doc in of_kind(docs, "Deployment", "StatefulSet", "Job")]


def stages(overlay: str) -> dict[Stage, Pod]:
    """By stage."""
    return {pod.stage: pod for pod in pods(overlay) if pod.stage is not None}
