"""A page of `avel localize`, as a browser shows it: drawn for realtime/recordings/README.md.

    python tests/pictures/page.py

Looks through the clip in the package and takes a picture of its page with Chromium; not run by the tests,
because no two browsers draw the same pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import avel_live
import cv2
import numpy as np
from avel_live.realtime.recordings.page import Media, render_page
from selenium.webdriver.support.ui import WebDriverWait
from support.browser import chromium

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "realtime" / "recordings" / "pictures" / "page.jpg"


def main() -> None:
    """The clip in the package, its page, and the picture."""
    clip = ROOT / "realtime" / "data" / "demo.mp4"
    findings = avel_live.localize(clip)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    flags = ((1100, 1000), "--hide-scrollbars")
    with TemporaryDirectory() as folder, chromium(Path(folder) / "profile", *flags) as driver:
        page = Path(folder) / "page.html"
        page.write_text(render_page(findings, Media.inside(clip, video=True)), encoding="utf-8")
        driver.get(page.as_uri())
        driver.execute_script("document.querySelector('video').currentTime = 7.5")
        seen = "const v = document.querySelector('video'); return v.readyState >= 2 && !v.seeking"
        WebDriverWait(driver, 20).until(lambda at: at.execute_script(seen))
        pixels = cv2.imdecode(np.frombuffer(driver.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(PICTURE), pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
