"""Images and compose file follow the pipeline and the rules of the house; no container engine is needed to see that."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from framegate.kernel.states import Stage
from framegate.settings import Settings, WorkerSettings
from tests.support.compose import FILE, ROOT, Service, env_file, environment_of_image, interpolate, services

BIN = Path(sys.executable).parent
DOCKERFILES = sorted((ROOT / "infra/docker").glob("*.Dockerfile"))
ENV_FILES = sorted((ROOT / "infra/docker/env").glob("*.env"))
SECRETS = {"POSTGRES_PASSWORD": "pw", "FRAMEGATE_PEPPER": "pepper", "GRAFANA_PASSWORD": "pw"}
OURS = [service for service in services(SECRETS).values() if service.is_ours]
RUNNING = [service for service in OURS if service.stage]
THEIRS = [service for service in services(SECRETS).values() if not service.is_ours]
#: What compiles, fetches or installs.
TOOLS = re.compile(r"\b(gcc|g\+\+|clang|make|cmake|build-essential|curl|wget|git|python3-(venv|pip|dev)|\w+-dev)\b")


def by_name(service: Any) -> str:
    return service.name if isinstance(service, Service | Path) else ""


def final_stage(dockerfile: Path) -> str:
    return re.split(r"^FROM ", dockerfile.read_text("utf-8"), flags=re.MULTILINE)[-1].replace("\\\n", " ")


def instructions(dockerfile: Path, name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", final_stage(dockerfile), re.MULTILINE)


def seconds(duration: str) -> int:
    (number, unit), *rest = re.findall(r"(\d+)([smh])", duration)
    assert not rest, duration
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def need(tool: str) -> str:
    binary = BIN / tool
    if not binary.exists():
        assert not os.environ.get("CI"), f"{tool} is not installed: the extra dev brings it"
        pytest.skip(f"{tool} is not installed: the extra dev brings it")
    return str(binary)


def test_the_compose_file_is_valid() -> None:
    done = subprocess.run(
        [need("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", FILE], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_runs_every_stage_and_nothing_that_does_not_exist() -> None:
    for profile in ("cpu", "gpu"):
        active = services(SECRETS, [profile]).values()
        assert sorted(s.stage for s in active if s.stage) == sorted(Stage), f"profile {profile}"
    assert {tuple(service.command) for service in OURS if not service.stage} == {("migrate",), ("provision",)}
    assert {service.name for service in THEIRS} == {"postgres", "aws", "prometheus", "alertmanager", "grafana"}


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_compose_says_which_secret_is_missing(missing: str) -> None:
    with pytest.raises(LookupError, match=f"{missing}: .*choose|{missing}: .*random"):
        services({name: value for name, value in SECRETS.items() if name != missing})


@pytest.mark.parametrize("service", [*OURS, *THEIRS], ids=by_name)
def test_every_container_is_confined_and_bounded(service: Service) -> None:
    spec = service.spec
    assert spec["read_only"] is True
    assert spec["cap_drop"] == ["ALL"]
    assert "cap_add" not in spec
    assert "privileged" not in spec
    assert "no-new-privileges:true" in spec["security_opt"]
    assert spec["mem_limit"]
    assert spec["cpus"]
    assert spec["pids_limit"]
    assert spec["logging"]["options"]["max-size"], "logs may fill the disk"
    for port in spec.get("ports", []):
        assert port.startswith("127.0.0.1:"), f"{port} is open to the network"


@pytest.mark.parametrize("service", OURS, ids=by_name)
def test_our_containers_have_no_root_and_nothing_to_execute_in_what_they_may_write(service: Service) -> None:
    assert service.spec["user"] == "10001:10001"
    mounts = dict(tmpfs.split(":", 1) for tmpfs in service.spec["tmpfs"])
    assert "/tmp" in mounts
    assert ("/data" in mounts) != any(volume.endswith(":/data") for volume in service.spec.get("volumes", []))
    for options in mounts.values():
        assert {"noexec", "nosuid", "nodev"} <= set(options.split(","))
        assert "size=" in options


@pytest.mark.parametrize("service", RUNNING, ids=by_name)
def test_a_stage_is_given_longer_to_stop_than_it_takes_to_drain(service: Service) -> None:
    drain = float(service.environment.get("FRAMEGATE_WORKER__DRAIN_S", WorkerSettings().drain_s))
    assert seconds(service.spec["stop_grace_period"]) > drain + 5


@pytest.mark.parametrize("service", [*OURS, *THEIRS], ids=by_name)
def test_what_a_service_needs_has_finished_or_is_healthy_first(service: Service) -> None:
    found = services(SECRETS)
    for name, condition in service.waits_for.items():
        once = found[name].is_ours and found[name].stage is None
        assert condition == ("service_completed_successfully" if once else "service_healthy")
        assert once or found[name].health_command
    if service.stage:
        assert set(service.waits_for) == {"migrate", "provision"}


@pytest.mark.parametrize("service", [*RUNNING, *THEIRS], ids=by_name)
def test_whatever_keeps_running_has_a_health_check(service: Service) -> None:
    command = service.health_command
    assert command
    if service.is_ours:
        assert command[0] == "python"
        assert f":{port_of(service)}/readyz" in command[2]


def test_every_setting_that_containers_are_given_exists() -> None:
    known = {name for name, _, _ in Settings().describe()}
    # boto3 reads these itself.
    known |= {"AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for service in OURS:
        assert set(service.environment) <= known, service.name
    used = {ROOT / path for service in OURS for path in service.spec["env_file"]}
    assert used == set(ENV_FILES)


def test_the_settings_that_containers_are_given_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in OURS:
        with monkeypatch.context() as patch:
            for name, value in service.environment.items():
                patch.setenv(name, value)
            assert Settings.read().data == Path("/data")


@pytest.mark.parametrize("file", ENV_FILES, ids=by_name)
def test_env_files_hold_no_secret_and_nothing_to_interpolate(file: Path) -> None:
    for name, value in env_file(file).items():
        assert "$" not in value, "other tools read these files too, and do not interpolate alike"
        assert not re.search(r"PASSWORD|PEPPER|DATABASE_URL|TOKEN", name)
        assert not re.search(r"SECRET|ACCESS_KEY", name) or value == "anything"


def test_only_ingest_and_alerts_are_given_what_keys_are_hashed_and_messages_signed_with() -> None:
    assert [service.name for service in OURS if "FRAMEGATE_PEPPER" in service.environment] == ["ingest", "alerts"]


def test_every_image_of_compose_is_named_by_a_tag_and_every_dockerfile_is_used() -> None:
    for service in (*OURS, *THEIRS):
        tag = service.spec["image"].rpartition(":")[2]
        assert tag
        assert tag != "latest"
    assert sorted({service.dockerfile for service in OURS}) == DOCKERFILES
    for service in OURS:
        assert service.spec["image"].startswith(f"framegate-{service.dockerfile.stem}:")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=by_name)
class TestDockerfile:
    def test_hadolint_finds_nothing(self, dockerfile: Path) -> None:
        done = subprocess.run([need("hadolint"), dockerfile], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_final_image_has_no_build_tools(self, dockerfile: Path) -> None:
        assert dockerfile.read_text("utf-8").count("\nFROM ") == 2
        assert not TOOLS.search(final_stage(dockerfile))
        assert "pip install" not in final_stage(dockerfile)

    def test_it_runs_as_a_numeric_user_who_is_not_root(self, dockerfile: Path) -> None:
        assert instructions(dockerfile, "USER") == ["10001:10001"]

    def test_its_health_check_asks_the_port_it_listens_on_and_needs_no_curl(self, dockerfile: Path) -> None:
        (check,) = instructions(dockerfile, "HEALTHCHECK")
        listening = environment_of_image(dockerfile)
        metrics, port = listening["FRAMEGATE_WORKER__PORT"], listening.get("FRAMEGATE_API__PORT")
        assert (
            f'CMD ["python", "-c", "from urllib.request import urlopen; urlopen(\'http://127.0.0.1:{port or metrics}/'
            in check
        )
        assert instructions(dockerfile, "EXPOSE") == [f"{port} {metrics}" if port else metrics]

    def test_the_digest_of_its_base_is_a_build_argument(self, dockerfile: Path) -> None:
        text = dockerfile.read_text("utf-8")
        (tag, digest) = re.findall(r"^ARG (\w+)=\S*$", text.partition("\nFROM ")[0], re.MULTILINE)
        assert (tag, digest) in {("PYTHON_TAG", "PYTHON_DIGEST"), ("CUDA_TAG", "CUDA_DIGEST")}
        assert len(re.findall(rf"^FROM \S+:\${{{tag}}}\${{{digest}:\+@\${{{digest}}}}}", text, re.MULTILINE)) == 2

    def test_its_labels_are_those_of_the_image_specification(self, dockerfile: Path) -> None:
        (labels,) = instructions(dockerfile, "LABEL")
        for name in ("title", "description", "licenses", "version", "revision"):
            assert f"org.opencontainers.image.{name}=" in labels
        assert f'title="framegate-{dockerfile.stem}"' in labels

    def test_neither_torch_nor_ultralytics_is_installed(self, dockerfile: Path) -> None:
        text = dockerfile.read_text("utf-8")
        assert re.findall(r"\.whl\)\[(.*?)\]", text) == ["aws,traces"]
        assert "torch" not in text
        assert "ultralytics" not in text


def test_the_gpu_image_installs_what_the_extra_says_on_the_tensorrt_of_its_base() -> None:
    text = (ROOT / "infra/docker/worker-gpu.Dockerfile").read_text("utf-8")
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["gpu"]
    wanted = [requirement for requirement in extra if not requirement.startswith("tensorrt")]
    assert len(wanted) == len(extra) - 1
    assert all(f'"{requirement}"' in text for requirement in wanted)
    assert re.search(r"^ARG CUDA_TAG=\d+\.\d+\.\d+-tensorrt-runtime-", text, re.MULTILINE)


def test_what_is_sent_to_the_builder_is_what_the_wheel_is_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILES[0].read_text("utf-8"), re.MULTILINE)
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(" ".join(copied).split())


def test_prometheus_scrapes_every_service_that_serves_metrics() -> None:
    jobs = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    found = [(name, sd["port"]) for job in jobs for sd in job.get("dns_sd_configs", []) for name in sd["names"]]
    assert sorted(found) == sorted(
        (service.name, int(service.environment["FRAMEGATE_WORKER__PORT"])) for service in RUNNING
    )


def test_no_port_of_metrics_is_published() -> None:
    for service in RUNNING:
        published = [str(port).rpartition(":")[2] for port in service.spec.get("ports", [])]
        assert service.environment["FRAMEGATE_WORKER__PORT"] not in published


def test_traces_are_off_and_one_variable_each_tells_every_process_where_to_and_how_many() -> None:
    chosen = {"FRAMEGATE_TRACES__ENDPOINT": "http://jaeger:4318", "FRAMEGATE_TRACES__SAMPLE": "0.5"}
    off = {"FRAMEGATE_TRACES__ENDPOINT": "", "FRAMEGATE_TRACES__SAMPLE": str(Settings().traces.sample)}
    for variables, expected in (({}, off), (chosen, chosen)):
        for service in services(SECRETS | variables).values():
            if service.stage:
                assert expected.items() <= service.environment.items(), service.name


def test_grafana_reads_from_the_prometheus_of_the_compose_file() -> None:
    folder = ROOT / "infra/grafana/provisioning/datasources"
    (source,) = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (traces,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert (traces["name"], "$${__value.raw}" in traces["url"]) == ("trace_id", True)
    assert "--enable-feature=exemplar-storage" in services(SECRETS)["prometheus"].command
    assert "./infra/grafana/provisioning:/etc/grafana/provisioning:ro" in services(SECRETS)["grafana"].spec["volumes"]


def test_grafana_finds_the_dashboards_and_begins_with_what_is_wrong_now() -> None:
    (provider,) = yaml.safe_load((ROOT / "infra/grafana/provisioning/dashboards/framegate.yml").read_text("utf-8"))[
        "providers"
    ]
    grafana = services(SECRETS)["grafana"]
    path = provider["options"]["path"]
    assert f"./infra/grafana/dashboards:{path}:ro" in grafana.spec["volumes"]
    home = Path(grafana.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == Path(path)
    assert (ROOT / "infra/grafana/dashboards" / home.name).is_file()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}-$A", "1-1"),
        ("${B:-x}${A:-x}", "x1"),
        ("${EMPTY:-x}${EMPTY-x}", "x"),
        ("$${A}", "${A}"),
        ("${NONE}", ""),
        ("${A:?needed}", "1"),
    ],
)
def test_compose_variables_are_replaced_as_its_specification_says(text: str, expected: str) -> None:
    assert interpolate([{"${A}": text}], {"A": "1", "EMPTY": ""}) == [{"${A}": expected}]


def port_of(service: Service) -> int:
    name = "FRAMEGATE_API__PORT" if service.stage == Stage.INGEST else "FRAMEGATE_WORKER__PORT"
    return int(service.environment[name])
