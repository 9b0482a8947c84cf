"""Every report page in Chromium: accessible by the rules of axe, on a screen and on a phone."""

import browser
import numpy as np
import pytest
from report_pages import PAGES

WIDTHS = {"screen": 1000, "phone": 390}
VIEWS = [("light", "screen"), ("dark", "screen"), ("light", "phone")]

needs_chromium = pytest.mark.skipif(browser.CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.Browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible(name, chromium, tmp_path):
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    path = tmp_path / "report.html"
    path.write_text(PAGES[name](), encoding="utf-8")
    for theme, width in VIEWS:
        chromium.look_as(theme=theme, width=WIDTHS[width])
        chromium.open(path.as_uri())
        assert chromium.violations() == [], (theme, width)
        assert chromium.value("document.documentElement.scrollWidth <= innerWidth"), width
    assert chromium.complaints == []


@needs_chromium
def test_what_is_not_accessible_is_found(chromium, tmp_path):
    """The check itself: an image without words, pale text, an error of a script."""
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    path = tmp_path / "bad.html"
    path.write_text(
        "<!doctype html><html lang='en'><title>t</title><main><h1>h</h1><img src='data:,'>"
        "<p style='color: #bbb; background: #fff'>pale</p></main><script>nothing()</script></html>"
    )
    chromium.look_as(theme="light", width=1000)
    chromium.open(path.as_uri())
    found = chromium.violations()
    assert {line.split(":")[0] for line in found} == {"image-alt", "color-contrast"}
    assert any("nothing is not defined" in said for said in chromium.complaints)
    chromium.complaints.clear()


@needs_chromium
def test_a_dark_page_shows_a_plot_on_its_own_paper_with_light_words(chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(PAGES["evaluation"](), encoding="utf-8")
    chromium.look_as(theme="dark", width=WIDTHS["screen"])
    chromium.open(path.as_uri())
    chromium.value("document.querySelector('.plot img').scrollIntoView()")
    box = chromium.value(
        "(b => [b.x, b.y, b.right, b.bottom])"
        "(document.querySelector('.plot img').getBoundingClientRect())"
    )
    seen = chromium.screenshot().crop(tuple(map(round, box))).convert("RGB")
    paper = tuple(chromium.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)"))
    assert seen.getpixel((3, 3)) == tuple(map(int, paper))
    assert np.percentile(np.asarray(seen).mean(axis=2), 99) > 120
