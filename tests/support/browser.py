"""A headless Chromium to open pages in, driven through chromedriver. In CI a missing one fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from .peers import program

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-file-access-from-files",
)


@contextmanager
def chromium(profile: Path, size: tuple[int, int] = (1280, 1100), *flags: str) -> Iterator[Any]:
    """A selenium driver; everything the pages log is in `get_log("browser")`."""
    binary = program("chromium", "chromium")
    chromedriver = program("chromedriver", "chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*_FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield driver
    finally:
        driver.quit()


def objections(browser: Any) -> list[str]:
    """What axe-core has against the page, with the elements that it means."""
    import axe_core_python

    if not browser.execute_script("return !!window.axe"):
        browser.execute_script(Path(axe_core_python.__file__).with_name("axe.min.js").read_text())
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(done, e => done({error: String(e)}))"
    )
    assert "error" not in found, found["error"]
    assert "color-contrast" in {one["id"] for one in [*found["passes"], *found["violations"]]}, "it looked"
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
