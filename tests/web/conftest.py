"""The fixtures of tests in a real browser: a server, a truck, the API, and phones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from api.pages import DIST
from tests.e2e.processes import Yard
from tests.patience import PATIENCE_S
from tests.programs import needs
from tests.web.rig import Api, Server, Session, Truck, write_registry

CHROMIUM: Final = "chromium"
LIGHTER: Final = "chromium-headless-shell"
"""The same without windows, where it is there: tests take a fifth less."""
PATIENCE_MS: Final = PATIENCE_S * 1_000
"""Time to wait for a page's final state: the machine may be busy."""
COMPLAINTS: Final = ("Content Security Policy", "Uncaught", "[Vue warn]")
AGENT: Final = (
    "Mozilla/5.0 (Linux; Android 14; V2309A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/130.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.50 Language/zh_CN"
)
"""WeChat's web view."""


@pytest.fixture(scope="session")
def known_fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store into which `run.py import` has loaded the registry."""
    yard = Yard(tmp_path_factory.mktemp("web-registry"), forks=True)
    imported = yard.imports(write_registry(yard.folder / "registry.jsonl"))
    assert imported.status == 0, imported.said
    return yard.store


def chromium() -> str | None:
    """Return the browser's path."""
    return shutil.which(LIGHTER) or shutil.which(CHROMIUM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its module: while it runs, so does an event loop in this thread, where other tests want their own."""
    if chromium() is None:
        needs(CHROMIUM)
    _needs_pages()
    with sync_playwright() as playwright:
        path = chromium()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


def _needs_pages() -> None:
    if (DIST / "index.html").is_file():
        return
    say = "the pages are not built: make web"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(say)
    pytest.skip(say)


@pytest.fixture
def server(browser: Browser, known_fleet: Path, tmp_path: Path) -> Iterator[Server]:
    """Serves the registry's fleet, on a store of its own; its clock stands still until a test moves it."""
    yard = Yard(tmp_path, forks=True)
    shutil.copy(known_fleet, yard.store)
    server = Server(yard)
    server.starts()
    yield server
    yard.closes()


@pytest.fixture
def api(server: Server) -> Api:
    return Api(server)


@pytest.fixture
def truck(server: Server) -> Truck:
    """Vehicle 1, near Wuhan; it has not reported yet."""
    return Truck(server, 1)


@pytest.fixture
def trucks(server: Server) -> Callable[[int], Truck]:
    """Any vehicle, by its number."""
    return lambda number: Truck(server, number)


@dataclass
class Phones:
    """Makes a page on a phone of its own. What went wrong in any of them is told at the end."""

    browser: Browser
    server: Server
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(
        self,
        session: Session | None = None,
        *,
        dark: bool = False,
        width: int = 390,
        height: int = 844,
        scale: float = 2,
        english: bool = False,
        reduced_motion: bool = False,
    ) -> Page:
        """``session``: who is signed in on it (``api.driver()``, ``api.family()``, ``api.owner()``, ``api.one_click()``)."""
        context = self.browser.new_context(
            base_url=self.server.url,
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            is_mobile=True,
            has_touch=True,
            user_agent=AGENT,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if reduced_motion else "no-preference",
            permissions=["clipboard-read", "clipboard-write"],
            storage_state=_kept(self.server.url, session, english=english),  # type: ignore[arg-type]  # a TypedDict of theirs
        )
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        self._listen(page)
        return page

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", self._hear)
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if any(word in message.text for word in COMPLAINTS):
            self.complaints.append(message.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self.server.url, "data:", "blob:")):
            self.complaints.append(f"a request to another host: {request.url}")

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def _kept(origin: str, session: Session | None, *, english: bool) -> Mapping[str, Any]:
    """The browser's storage, as pages left it."""
    kept = {"shouwang.language": "en"} if english else {}
    if session is not None:
        kept["shouwang.session"] = msgspec.json.encode(session).decode()
    entries = [{"name": name, "value": value} for name, value in kept.items()]
    return {"cookies": [], "origins": [{"origin": origin, "localStorage": entries}]}


@pytest.fixture
def phone(browser: Browser, server: Server) -> Iterator[Phones]:
    """Yield ``phone``: with a session the page is signed in, and without one it is not."""
    phones = Phones(browser, server)
    yield phones
    phones.close()
    assert phones.complaints == []
