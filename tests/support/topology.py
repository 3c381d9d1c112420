"""The services of docker-compose.yml as plain processes of this host, for want of a container engine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from tests.support.box import free_port, until
from tests.support.compose import Service, in_order

START_S = 90.0
#: What a developer's shell may set and no container sees.
_FOREIGN = re.compile(r"FRAMEGATE_|DATABASE_URL|AWS_")
#: The port at which a service is reached, where it has no setting that says so.
_PORTS = {"aws": 5000}
_LISTENS = re.compile(r"FRAMEGATE_(API|WORKER)__PORT")


@dataclass(frozen=True, slots=True)
class Running:
    """One container's process."""

    service: Service
    environment: dict[str, str]
    ports: dict[int, int]  #: of the container, and the one of this host that stands for it
    process: subprocess.Popen[bytes]
    log: Path

    def tail(self) -> str:
        return f"{self.service.name}: {self.log.read_text('utf-8', 'replace')[-1500:]}"

    def is_healthy(self) -> bool:
        """Runs the health check of the compose file, with the port of this host."""
        assert self.process.poll() is None, f"{self.service.name} ended with {self.process.returncode}"
        command = self.service.health_command
        assert command, self.service.name
        assert command[0] == "python"
        arguments = [_at_ports(part, "127.0.0.1", self.ports) for part in command[1:]]
        done = subprocess.run([sys.executable, *arguments], env=self.environment, capture_output=True, timeout=30)
        return done.returncode == 0

    def execute(self, *command: str) -> str:
        """What `docker compose exec` would print."""
        done = subprocess.run(
            [sys.executable, "-m", *command], env=self.environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _at_ports(text: str, host: str, ports: Mapping[int, int]) -> str:
    for inside, outside in ports.items():
        text = text.replace(f"//{host}:{inside}", f"//127.0.0.1:{outside}")
    return text


class Topology:
    """Starts services in their order, each when what it depends on is as far as it demands. `postgres` runs already."""

    def __init__(self, services: Mapping[str, Service], database_url: str, directory: Path) -> None:
        self._services, self._database_url, self._directory = services, database_url, directory
        self.running: dict[str, list[Running]] = {}

    def start(self) -> None:
        for service in in_order(self._services):
            if service.name == "postgres":
                continue
            for name, condition in service.waits_for.items():
                self._wait(name, condition)
            self.running[service.name] = [self._start(service, number) for number in range(service.replicas)]
        for name, service in self._services.items():
            if service.health_command:
                self._wait(name, "service_healthy")

    def _wait(self, name: str, condition: str) -> None:
        for running in self.running.get(name, []):
            if condition == "service_healthy":
                try:
                    until(running.is_healthy, START_S, "health")
                except AssertionError as error:
                    raise AssertionError("\n".join([str(error), *self._tails()])) from None
            else:
                assert condition == "service_completed_successfully"
                assert running.process.wait(START_S) == 0, running.tail()

    def _tails(self) -> list[str]:
        return [running.tail() for group in self.running.values() for running in group]

    def _start(self, service: Service, number: int) -> Running:
        ports = {_PORTS[service.name]: free_port()} if service.name in _PORTS else {}
        environment = self._environment(service, number, ports)
        command = ["framegate", *service.command]
        if service.name == "aws":
            command = ["moto.server", "-H", "127.0.0.1", "-p", str(ports[_PORTS["aws"]])]
        log = self._directory / f"{service.name}-{number}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=environment, cwd=self._directory, stdout=output, stderr=output
            )
        return Running(service, environment, ports, process, log)

    def _environment(self, service: Service, number: int, ports: dict[int, int]) -> dict[str, str]:
        """The container's, with this host's addresses, ports and folders; fills in the `ports` that it listens on."""
        found = service.environment
        for name, value in found.items():
            for other, running in self.running.items():
                found[name] = _at_ports(found[name], other, running[0].ports)
            if _LISTENS.fullmatch(name):
                ports[int(value)] = free_port()
                found[name] = str(ports[int(value)])
            elif value == "0.0.0.0":  # noqa: S104 (what the image listens on, never this process)
                found[name] = "127.0.0.1"
        if "DATABASE_URL" in found:
            url = make_url(found["DATABASE_URL"])
            assert (url.host, url.database) == ("postgres", "framegate")
            found["DATABASE_URL"] = self._database_url
        if "FRAMEGATE_DATA" in found:
            found["FRAMEGATE_DATA"] = str(self._directory / f"{service.name}-{number}")
        inherited = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
        return inherited | found

    def stop(self, within_s: float) -> dict[str, int]:
        """Tells everything at once to stop; the exit codes of ours. Raises when one takes longer."""
        processes = {
            running.log.stem: running.process
            for group in self.running.values()
            for running in group
            if running.service.stage
        }
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + within_s
        return {name: process.wait(max(0, deadline - time.monotonic())) for name, process in processes.items()}

    def kill(self) -> None:
        for group in self.running.values():
            for running in group:
                if running.process.poll() is None:
                    running.process.kill()
                    running.process.wait(10)


@contextmanager
def running_topology(services: Mapping[str, Service], database_url: str, directory: Path) -> Iterator[Topology]:
    topology = Topology(services, database_url, directory)
    try:
        topology.start()
        yield topology
    finally:
        topology.kill()
