"""axe looks at every page, sheet, dialog and tab, in light and in dark: WCAG 2 A and AA, contrast included."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.processes import Yard
from tests.web.conftest import Phones
from tests.web.rig import VEHICLES, Server
from tests.web.scenes import Scene, Story, all_scenes, open_scenes

pytestmark = pytest.mark.e2e

AXE: Final = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
VANTS_OWN: Final = "aria-valid-attr-value: #van-tabs-"
"""Vant's tabs name a panel even where there is none, because the page shows its own list: readers pass over that."""
SCENES: Final = {scene.name: scene for scene in (*all_scenes(), *open_scenes())}


@pytest.fixture(scope="module")
def story(browser: Browser, known_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Yield one story for all tests: none changes anything in it that another page would show."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    yard = Yard(tmp_path_factory.mktemp("accessibility"), forks=True)
    shutil.copy(known_fleet, yard.store)
    server = Server(yard)
    server.starts()
    yield Story(server, VEHICLES)
    yard.closes()


def violations(page: Page) -> list[str]:
    """Rule, element and what is wrong with it."""
    _settles(page)
    page.evaluate(AXE.read_text("utf-8"))
    found: list[str] = page.evaluate(
        """async rules => (await axe.run(document, {runOnly: rules, resultTypes: ["violations"]})).violations
            .flatMap(each => each.nodes.map(node => `${each.id}: ${node.target.join(" ")}: ${node.failureSummary}`))""",
        list(RULES),
    )
    return [each for each in found if not each.startswith(VANTS_OWN)]


def _settles(page: Page) -> None:
    """A text that still fades in has no contrast yet."""
    page.evaluate(
        """() => Promise.race([
            Promise.allSettled(document.getAnimations().filter(each => each.effect.getTiming().iterations !== Infinity)
                .map(each => each.finished)),
            new Promise(done => setTimeout(done, 2000))])"""
    )


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_axe_finds_nothing_in_light_and_dark(browser: Browser, story: Story, scene: Scene) -> None:
    phones = Phones(browser, story.server)
    try:
        width, height = (1440, 900) if scene.is_wall else (390, 844)
        page = phones(scene.who(story), width=width, height=height, scale=1, reduced_motion=True)
        page.goto(scene.path(story))
        page.locator(scene.sign).first.wait_for()
        scene.acts(page)
        in_light = violations(page)
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found = [*in_light, *(f"in the dark: {each}" for each in violations(page))]
        assert not found, "\n".join(found)
    finally:
        phones.close()


def test_axe_would_find_something(browser: Browser, story: Story) -> None:
    phones = Phones(browser, story.server)
    try:
        page = phones()
        page.goto("/sign-in")
        page.locator("form").wait_for()
        page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        assert any(found.startswith("button-name: ") for found in violations(page))
    finally:
        phones.close()
