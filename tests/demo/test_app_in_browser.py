"""The page in headless Chromium. `make test-browser` installs what it needs; elsewhere these tests are skipped."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
MISSING = [name for name in ("gradio", "playwright") if importlib.util.find_spec(name) is None]
if MISSING or CHROMIUM is None:
    pytest.skip(f"needs {', '.join([*MISSING, 'chromium'])}: make test-browser", allow_module_level=True)

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]
OPTIONS = ("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
OPTIONS += ("disable-component-update", "disable-sync")


@pytest.fixture(scope="module")
def address(_tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    for part in _tiny:
        part.save_pretrained(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tgdi_hf.cli.main", "app", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, env={**os.environ, "GRADIO_TEMP_DIR": str(folder / "gradio")})
    url = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(url)
            break
        except OSError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.5)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[f"--{option}" for option in OPTIONS])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    elsewhere = []
    page.on(
        "request",
        lambda request: None if request.url.startswith((address, "data:", "blob:")) else elsewhere.append(request.url),
    )
    page.goto(address)
    page.wait_for_selector("#ask")
    yield page
    assert elsewhere == []  # nothing comes from other servers
    page.close()


def fill(page, **values):
    for name, value in values.items():
        page.locator(f"#{name} textarea, #{name} input").first.fill(value)


def test_an_example_runs(page):
    page.get_by_role("button", name="with image").first.click()
    page.wait_for_selector("#answer .answer")
    assert page.locator("#answer meter").count() == 5
    assert "Matching gate" in page.locator("#influence").inner_text()
    assert "Prediction from the text alone" in page.locator("#influence").inner_text()
    page.wait_for_selector("#heat img")
    before = page.locator("#heat img").get_attribute("src")
    page.locator("#word input").click()
    page.get_by_role("option").nth(1).click()
    page.wait_for_function("before => document.querySelector('#heat img')?.src != before", arg=before)


def test_an_uploaded_image(page, tmp_path):
    Image.new("RGB", (80, 60), "teal").save(tmp_path / "mine.png")
    fill(page, text="Ann meets Bob", head="Ann", tail="Bob")
    page.locator("#image input[type=file]").set_input_files(tmp_path / "mine.png")
    page.wait_for_selector("#image img")
    page.click("#ask")
    page.wait_for_selector("#heat img")
    assert "Ann → Bob" in page.locator("#answer").inner_text()


def test_an_invalid_image_is_reported(page, tmp_path):
    (tmp_path / "bad.png").write_text("<html>not found</html>")
    fill(page, text="Ann meets Bob", head="Ann", tail="Bob")
    page.locator("#image input[type=file]").set_input_files(tmp_path / "bad.png")
    page.wait_for_selector("#image img")
    page.click("#ask")
    alert = page.wait_for_selector("[role=alert]")
    assert alert.inner_text().startswith("image: ") and "not in an image format" in alert.inner_text()
    # The page is still there, and the message goes.
    page.reload()
    fill(page, text="Ann meets Bob", head="Ann", tail="Eve")
    page.click("#ask")
    assert "tail: " in page.wait_for_selector("[role=alert]").inner_text()
    fill(page, tail="Bob")
    page.click("#ask")
    page.wait_for_selector("#answer .answer")
    assert page.locator("#message [role=alert]").count() == 0


def test_all_pairs(page):
    fill(page, text="Ann meets Bob in Rome")
    page.get_by_text("All pairs of several entities").click()
    fill(page, entities="Ann\nBob\nRome")
    page.click("#all_pairs")
    page.wait_for_selector("#pairs meter")
    assert page.locator("#pairs meter").count() == 3


def test_the_keyboard_suffices(page):
    page.locator("#text textarea").focus()
    page.keyboard.type("Ann meets Bob")
    for value in ("Ann", "Bob"):
        page.keyboard.press("Tab")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer .answer")
    for _ in range(8):  # on to the button, past the image
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "ask":
            break
    assert page.evaluate("document.activeElement.id") == "ask"


def test_a_phone_is_wide_enough(page):
    page.set_viewport_size({"width": 375, "height": 800})
    page.get_by_role("button", name="with image").first.click()
    page.wait_for_selector("#heat img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    for selector in ("#answer", "#influence", "#ask"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 375


def test_the_server_opens_no_file_of_its_own(page, address, tmp_path):
    """What a stranger may send past the page: the path of an image on the server."""
    Image.new("RGB", (80, 60), "teal").save(tmp_path / "private.png")
    data = {"data": ["Ann meets Bob", "Ann", "Bob", {"path": str(tmp_path / "private.png")}, None]}
    event = page.request.post(f"{address}/gradio_api/call/relation", data=data).json()["event_id"]
    answer = page.request.get(f"{address}/gradio_api/call/relation/{event}").text()
    assert "event: error" in answer and "meter" not in answer
