"""A real browser for tests: Debian's Chromium, driven by its own driver. `python3 -m hack.browser` installs both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hack.browser import BROWSER, DRIVER
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window, which keeps what it found wrong in its log."""
    for path in (BROWSER, DRIVER):
        assert Path(path).exists(), f"{path} is missing; python3 -m hack.browser (as root) installs it"
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    # Without a sandbox, which root and containers cannot have: only our own pages are opened.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield browser
    finally:
        browser.quit()


# WCAG 2.1, "contrast ratio": of an element's text on the first background behind it that is not transparent.
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
function luminance(color) {
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(
    (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
let behind = arguments[0];
while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const back = behind ? getComputedStyle(behind).backgroundColor : dark ? "#121212" : "#ffffff";
const both = [luminance(getComputedStyle(arguments[0]).color), luminance(back)].sort((a, b) => b - a);
return (both[0] + 0.05) / (both[1] + 0.05);
"""
