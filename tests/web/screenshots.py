"""Takes a picture of each page, of a real service with a moving fleet, into ``docs/screenshots``."""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from playwright.sync_api import Browser, Error, Page, sync_playwright

from domain.civil_time import china_date
from tests.api.conftest import PUBLIC_URL, vehicle_line
from tests.e2e.processes import Yard
from tests.web.conftest import PATIENCE_MS, Phones, chromium
from tests.web.rig import SPEEDING, VEHICLES, Server, registry_lines
from tests.web.scenes import STEP_S, STEPS, Scene, Story, all_scenes

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
FLEET: Final = 240
SCALE: Final = 1.25
SETTLES_MS: Final = 1_500
"""Transitions end and the map has drawn."""
CHART_STEPS: Final = 18
"""Minutes that the fleet drives while the control room looks on."""
DARK_TOO: Final = ("family-watch", "driver-home", "driver-vehicle", "owner-map")


def main() -> None:
    """Arguments: names of single pictures; without any, all of them."""
    wanted = sys.argv[1:]
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = 0
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        yard = Yard(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            story = _story(yard)
            for scene in all_scenes():
                if not wanted or scene.name in wanted:
                    failed += not _takes(browser, story, scene)
        finally:
            browser.close()
            yard.closes()
    sys.exit(1 if failed else 0)


def _story(yard: Yard) -> Story:
    today = china_date(time.time())
    far = str(today + timedelta(days=700))
    more = [
        vehicle_line(number, annual_review_due=far, transport_cert_valid_until=far)
        for number in range(VEHICLES + 1, FLEET + 1)
    ]
    file = yard.folder / "registry.jsonl"
    file.write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*registry_lines(today), *more]), "utf-8"
    )
    imported = yard.imports(file)
    assert imported.status == 0, imported.said
    # When the story is told, the service's clock says what the browser's says.
    began = int(time.time()) - STEPS * STEP_S
    server = Server(yard, began, {"SHOUWANG_PUBLIC_URL": PUBLIC_URL})
    server.starts()
    return Story(server, FLEET)


def _takes(browser: Browser, story: Story, scene: Scene) -> bool:
    """Take the pictures; tell whether it worked. A page that fails does not stop the others."""
    is_taken = True
    for dark in (False, True) if scene.name in DARK_TOO else (False,):
        phones = Phones(browser, story.server)
        width, height = (1440, 900) if scene.is_wall else (390, 844)
        page = phones(scene.who(story), dark=dark, width=width, height=height, scale=1 if scene.is_wall else SCALE)
        page.set_default_timeout(PATIENCE_MS)
        try:
            _shoots(page, story, scene, FOLDER / f"{scene.name}{'-dark' if dark else ''}.png")
        except (Error, AssertionError) as error:
            print(f"{scene.name}: {error}")
            is_taken = False
        phones.close()
        for complaint in phones.complaints:
            print(f"  {complaint}")
    return is_taken


def _shoots(page: Page, story: Story, scene: Scene, file: Path) -> None:
    page.goto(scene.path(story))
    page.locator(scene.sign).first.wait_for()
    scene.acts(page)
    if scene.is_wall:
        for step in range(CHART_STEPS):
            story.convoy.drives(1, alarms=SPEEDING if step % 6 > 3 else 0)
            page.wait_for_timeout(SETTLES_MS)
    page.wait_for_timeout(SETTLES_MS)
    page.screenshot(path=file)
    print(f"{file.name}  {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
