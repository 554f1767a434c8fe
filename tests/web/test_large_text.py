"""Pages hold with text twice as large on a narrow phone: nothing is cut off, lies over other text or leaves the screen."""

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

SCENES: Final = {
    scene.name: scene for scene in (*all_scenes(), *open_scenes()) if not scene.is_wall and scene.name != "docs"
}
TWICE: Final = (
    "document.addEventListener('DOMContentLoaded', () => { document.documentElement.style.fontSize = '200%'; })"
)
RESTS: Final = """() => document.getAnimations()
    .every(each => each.playState !== "running" || each.effect.getTiming().iterations === Infinity)"""
FAULTS: Final = """() => {
    const found = [], texts = [], wide = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth > wide + 1) found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
    const above = element => element ? [element, ...above(element.parentElement)] : [];
    const floats = each => ["fixed", "sticky", "absolute"].includes(getComputedStyle(each).position);
    const overflow = each => getComputedStyle(each).overflowX + getComputedStyle(each).overflowY;
    const cuts = (box, rect) => box.width > 0 && (rect.right > box.right + 2 || rect.left < box.left - 2
        || rect.bottom - box.bottom > rect.height / 4 || box.top - rect.top > rect.height / 4);
    const within = (rect, box) => {
        const [left, top] = [Math.max(rect.left, box.left), Math.max(rect.top, box.top)];
        const [right, bottom] = [Math.min(rect.right, box.right), Math.min(rect.bottom, box.bottom)];
        return {left, top, right, bottom, height: rect.height};
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode());) {
        const text = node.data.trim(), parent = node.parentElement;
        if (!text || !parent.checkVisibility({visibilityProperty: true, opacityProperty: true})) continue;
        if (parent.closest("script, noscript, textarea, .sw-visually-hidden, .skip, .leaflet-pane, [data-runs]")) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const ancestors = above(parent);
        const rects = [...range.getClientRects()].filter(rect => rect.width > 1 && rect.height > 1);
        if (!ancestors.some(each => /auto|scroll/.test(overflow(each)))) {
            const boxes = ancestors.filter(each => /hidden|clip/.test(overflow(each)) && each !== document.body);
            if (rects.some(rect => boxes.some(each => cuts(each.getBoundingClientRect(), rect)))) found.push(`cut off: ${text}`);
            if (rects.some(rect => rect.right > wide + 1 || rect.left < -1)) found.push(`leaves the screen: ${text}`);
            const size = parseFloat(getComputedStyle(parent).fontSize);
            if (rects.length > 2 && rects.every(rect => rect.width < size * 1.9)) found.push(`a column of single signs: ${text}`);
        }
        const windows = ancestors.filter(each => /auto|scroll|hidden|clip/.test(overflow(each)) && each !== document.body)
            .map(each => each.getBoundingClientRect());
        texts.push({text, rects: rects.map(rect => windows.reduce(within, rect)), layer: ancestors.find(floats)});
    }
    const meets = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > Math.min(a.height, b.height) / 3;
    texts.forEach((one, at) => texts.slice(at + 1).forEach(other => {
        if (one.layer === other.layer && one.rects.some(a => other.rects.some(b => meets(a, b))))
            found.push(`overlap: ${one.text} / ${other.text}`);
    }));
    return [...new Set(found)];
}"""


@pytest.fixture(scope="module")
def story(browser: Browser, known_fleet: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    yard = Yard(tmp_path_factory.mktemp("large-text"), forks=True)
    shutil.copy(known_fleet, yard.store)
    server = Server(yard)
    server.starts()
    yield Story(server, VEHICLES)
    yard.closes()


def faults(page: Page) -> list[str]:
    page.wait_for_function(RESTS)
    found: list[str] = page.evaluate(FAULTS)
    return found


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())
def test_a_page_holds_with_text_twice_as_large(browser: Browser, story: Story, scene: Scene) -> None:
    phones = Phones(browser, story.server)
    try:
        page = phones(scene.who(story), width=360, height=780, scale=1, reduced_motion=True)
        page.add_init_script(TWICE)
        page.goto(scene.path(story))
        page.locator(scene.sign).first.wait_for()
        scene.acts(page)
        found = faults(page)
        assert not found, "\n".join(found)
    finally:
        phones.close()


def test_text_that_is_cut_off_or_lies_over_other_text_is_found(browser: Browser, story: Story) -> None:
    phones = Phones(browser, story.server)
    try:
        page = phones(width=360, height=780, scale=1)
        page.goto("/terms")
        page.locator("main article").wait_for()
        assert faults(page) == []
        page.evaluate(
            """() => {
                const box = document.createElement("p"), over = document.createElement("p");
                box.textContent = "一个长长的词".repeat(9);
                Object.assign(box.style, {width: "60px", height: "20px", overflow: "hidden"});
                over.textContent = "上面的字";
                over.style.marginTop = "-20px";
                document.querySelector("main").append(box, over);
            }"""
        )
        found = faults(page)
        assert any(each.startswith("cut off: ") for each in found)
        assert any(each.startswith("overlap: ") for each in found)
    finally:
        phones.close()
