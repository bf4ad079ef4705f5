"""Draw docs/images/live.png: the live page about the photograph of a cat, after a click. Needs Chromium."""

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright
from skimage import data

from captum_focalogic import serve

HERE = Path(__file__).parent


def main() -> None:
    models = {name: name for name in ("efficientnet-lite0", "efficientnet-lite1")}
    live = serve(models, data.chelsea(), segmenter=["slic:12", "slic:24"])
    with sync_playwright() as started:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = started.chromium.launch(
            executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1180, "height": 1290})
        page.goto(live.url, timeout=120_000)
        page.wait_for_selector("[data-live][data-state=done]", timeout=300_000)
        page.locator('.region[data-region="7"]').click()
        page.wait_for_selector("[data-model]:not(:has-text('being asked'))")
        page.mouse.move(5, 5)
        page.mouse.wheel(0, -5_000)
        page.wait_for_timeout(500)
        page.screenshot(path=HERE / "live.png")
        browser.close()
    live.stop()


if __name__ == "__main__":
    main()
