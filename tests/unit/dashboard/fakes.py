"""The application with its pages over in-memory adapters, and people with browsers."""

import re
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from framegate.adapters.passwords import Argon2Passwords
from framegate.dashboard.app import Pages
from framegate.dashboard.deps import PageDependencies
from framegate.gate.office import PolicyOffice
from framegate.ingest.app import create_app
from framegate.kernel.drift_state import DriftLimits
from framegate.kernel.ids import FacilityId
from framegate.kernel.people import INVITED_FOR, Role, hash_token, new_token
from framegate.ports.people import Passwords, Person
from framegate.web.stopping import STOPPING
from tests.unit.ingest.fakes import HALL, PEPPER, PUBLIC_URL, ApiBox

PASSWORD = "nine crates of lemons"
_CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


def cheap() -> Argon2Passwords:
    return Argon2Passwords(memory_kib=8, passes=1, lanes=1)


class PeopleBox(ApiBox):
    """An API where people can log in."""

    def __init__(
        self,
        spool: Path,
        *,
        public_url: str = PUBLIC_URL,
        passwords: Passwords | None = None,
        page_limits: DriftLimits | None = None,
        **options: Any,
    ) -> None:
        super().__init__(spool, **options)
        super().close()
        self.passwords = passwords or cheap()
        store, people = self.store, self.store.people
        self.public_url = public_url
        self.viewers: list[int] = []
        self.pages = Pages(
            PageDependencies(
                people=people,
                logins=people,
                passwords=self.passwords,
                clock=self.clock,
                pepper=PEPPER,
                public_url=public_url,
                results=store.results,
                overview=store.overview,
                cameras=store.cameras,
                camera_healths=store.camera_healths,
                drifts=store.drifts,
                incidents=store.incidents,
                reviews=store.reviews,
                endpoints=store.endpoints,
                deliveries=store.deliveries,
                dead_letters=self.deps.dead_letters,
                registry=store.registry,
                shadows=store.shadows,
                policies=store.policies,
                rules=PolicyOffice(store.policies, store.cameras, store.registry, store.results, self.clock),
                workers=store.workers,
                audit=store.audit,
                keys=store.keys,
                drift_limits=page_limits or DriftLimits(),
                tell_viewers=self.viewers.append,
            )
        )
        self.deps = replace(self.deps, logins=people, public_url=public_url)
        self.app = create_app(self.deps, self.pages)

    def add_person(self, name: str = "anna", role: Role = Role.REVIEWER, *facilities: FacilityId) -> None:
        person = Person(name, dict.fromkeys(facilities or (HALL,), role), self.clock.now(), cheap().hash(PASSWORD))
        self.store.people.add_person(person, "lead")

    def invite(self, name: str = "anna") -> str:
        """The path of a new invitation."""
        token = new_token()
        hashed = hash_token(PEPPER, token)
        assert hashed is not None
        assert self.store.people.invite(name, hashed, self.clock.now() + INVITED_FOR, "lead")
        return f"/invite/{token}"

    def browser(self, address: str = "192.0.2.1", **headers: str) -> "Browser":
        return Browser(self, address, headers)

    async def see(self, path: str, name: str = "anna", status: int = 200) -> str:
        """What a person who logs in is shown there, tags and all."""
        async with self.browser() as browser:
            await browser.log_in(name)
            answer = await browser.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def close(self) -> None:
        super().close()
        self.pages.close()


class Browser:
    """Keeps cookies, follows no redirect, and sends the forms that it was shown."""

    def __init__(self, box: PeopleBox, address: str, headers: dict[str, str]) -> None:
        #: The server stops: what would go on for ever ends at once.
        self.stopping = False

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await box.app({**scope, STOPPING: self.stopping}, receive, send)

        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address, 50_000))
        self.http = httpx.AsyncClient(transport=transport, base_url=box.public_url, headers=headers)
        self.box = box

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.http.get(path, **options)

    async def csrf(self, path: str) -> str:
        """The token of the form at `path`."""
        return csrf_of(await self.get(path))

    async def submit(self, form: str, to: str | None = None, /, **fields: str) -> httpx.Response:
        """The form that is shown at `form`."""
        return await self.http.post(to or form, data={"csrf": await self.csrf(form), **fields})

    async def log_in(self, name: str = "anna", password: str = PASSWORD, **fields: str) -> httpx.Response:
        return await self.submit("/login", name=name, password=password, **fields)

    @property
    def token(self) -> str | None:
        """The secret of the login's cookie."""
        return self.http.cookies.get(self.box.pages.state.cookies.cookie)

    @property
    def form_cookie(self) -> str | None:
        return self.http.cookies.get(self.box.pages.state.cookies.form_cookie)


def csrf_of(answer: httpx.Response) -> str:
    assert answer.status_code < 400, answer.text
    found = _CSRF.search(answer.text)
    assert found is not None, answer.text
    return found[1]
