"""The HTML pages in a real browser, opened from disk: Debian's ``chromium`` and ``chromium-driver``; skipped without them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from reports import html, report
from tests.unit.test_html import ATTACK, PAGES, ROWS, evidence, listing, written

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WIDE, PHONE = 1300, 390
MINUTE = 60
OPENS_S = 10.0
"""Time in which 20 000 runs open at the best of three attempts; an idle machine takes two seconds."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


def opened(browser: webdriver.Chrome, page: Path, width: int = WIDE, dark: bool = False) -> webdriver.Chrome:
    """Open a page and wait until its tables are ready."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())
    ready = "return [...document.querySelectorAll('table.display')].every(table => table.matches('.dataTable'))"
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.execute_script(ready))
    return browser


def seconds_to_open(browser: webdriver.Chrome, page: Path) -> float:
    started = time.monotonic()
    opened(browser, page)
    return time.monotonic() - started


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def sort(browser: webdriver.Chrome) -> None:
    """Sort the table of results by its first column and wait: the table is drawn again after the click has returned."""
    browser.find_elements(By.CSS_SELECTOR, "figure.table table thead tr:last-child th")[0].click()
    ascending = "figure.table table thead th[aria-sort=ascending]"
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, ascending))


def lit(browser: webdriver.Chrome, selector: str) -> set[str | None]:
    """Return the rows that are lit among the elements."""
    return {element.get_attribute("data-row") for element in browser.find_elements(By.CSS_SELECTOR, f"{selector}.lit")}


@pytest.mark.parametrize("width", [WIDE, 768, PHONE])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_errors_and_fits_the_screen(
    folder: Path, browser: webdriver.Chrome, name: str, width: int
) -> None:
    opened(browser, folder / name, width)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    texts = "[...document.querySelectorAll('p, li, td, figcaption')]"
    sizes = browser.execute_script(f"return {texts}.map(text => parseFloat(getComputedStyle(text).fontSize))")
    assert all(size >= 12 for size in sizes)


def test_tables_sort_by_number_and_filter(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "index.html")
    column = "figure.table table tbody tr td:nth-of-type(2)"
    before = texts(browser, column)[:4]
    sort(browser)
    numbers = [float(text.split()[0]) for text in texts(browser, column)[:4]]
    assert numbers == sorted(numbers) and before != texts(browser, column)[:4]


def test_figures_draw_and_a_row_lights_up_in_table_and_figures(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "index.html")
    figures = browser.find_elements(By.CSS_SELECTOR, "figure svg")
    assert len(figures) >= 2 and all(figure.size["width"] > 300 and figure.size["height"] > 40 for figure in figures)
    row = browser.find_element(By.CSS_SELECTOR, 'tr[data-row="darts:erm"] th')
    ActionChains(browser).scroll_to_element(row).move_to_element(row).perform()
    assert lit(browser, "svg g") == {"darts:erm"}
    mark = browser.find_element(By.CSS_SELECTOR, '#ranking g[data-row="local_search"] text')
    ActionChains(browser).scroll_to_element(mark).move_to_element(mark).perform()
    assert lit(browser, "tr") == {"local_search"}


def test_a_row_lights_up_by_keyboard(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "index.html")
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        if reached := lit(browser, "tr"):
            break
    ActionChains(browser).send_keys(Keys.ARROW_DOWN).perform()
    assert reached and lit(browser, "tr") and lit(browser, "tr") != reached


def test_a_run_opens_down_to_its_failure(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "index.html")
    opened(browser, folder / "index.html").find_element(By.LINK_TEXT, "1 failed").click()
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#runs tbody button"))
    (button,) = browser.find_elements(By.CSS_SELECTOR, "#runs tbody button")
    assert "local_search" in str(button.get_attribute("aria-label")) and button.get_attribute("aria-expanded") == "false"
    button.send_keys(Keys.ENTER)
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#runs dl"))
    detail = "\n".join(texts(browser, "#runs tbody tr"))
    for text in ("Why it failed", f"ValueError: {ATTACK}", "Settings", "Made by", "a host"):
        assert text in detail, text
    assert button.get_attribute("aria-expanded") == "true"
    assert browser.get_log("browser") == [], "no text of a method was executed"


def test_a_row_of_the_results_leads_to_its_runs_alone(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "index.html").find_element(By.CSS_SELECTOR, 'tr[data-row="darts:erm"] th a').click()
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#runs tbody button"))
    methods = "#runs tbody td:nth-child(2)"
    assert texts(browser, methods) == [f"{ATTACK} darts:erm"] * 4
    note = browser.find_element(By.ID, "chosen")
    assert note.text == f"Only runs of {ATTACK} darts:erm. Show all runs"
    note.find_element(By.TAG_NAME, "a").click()
    WebDriverWait(browser, MINUTE).until(lambda driver: len(texts(driver, methods)) == 12)
    assert not note.is_displayed() and browser.get_log("browser") == []


def test_a_cell_is_drawn_with_its_run(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "runs.html").find_element(By.CSS_SELECTOR, "#runs tbody button").click()
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#runs svg.cell"))
    (cell,) = browser.find_elements(By.CSS_SELECTOR, "#runs svg.cell")
    assert cell.size["width"] > 200 and {"in", "out", ATTACK} <= set(texts(browser, "#runs svg.cell text"))


@pytest.mark.parametrize("width", [WIDE, 768, PHONE])
def test_the_table_of_results_is_above_the_figures_or_next_to_them(folder: Path, browser: webdriver.Chrome, width: int) -> None:
    opened(browser, folder / "digits" / "index.html", width)
    table, figure = (browser.find_element(By.CSS_SELECTOR, name).rect for name in ("figure.table", "#ranking"))
    if width == WIDE:
        assert abs(table["y"] - figure["y"]) < 20 and figure["x"] + figure["width"] <= table["x"]
    else:
        assert table["y"] + table["height"] <= figure["y"]


def test_a_finished_run_shows_its_trace(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "runs.html")
    browser.find_element(By.CSS_SELECTOR, "#runs tbody button").click()
    WebDriverWait(browser, MINUTE).until(lambda driver: driver.find_elements(By.CSS_SELECTOR, "#runs details summary"))
    browser.find_element(By.CSS_SELECTOR, "#runs details summary").click()
    assert "charged s" in texts(browser, "#runs details table thead tr")[0]
    assert len(browser.find_elements(By.CSS_SELECTOR, "#runs details table tbody tr")) == 2


def test_a_column_of_runs_is_filtered_by_the_list_of_its_values(folder: Path, browser: webdriver.Chrome) -> None:
    opened(browser, folder / "digits" / "runs.html")
    browser.find_element(By.CSS_SELECTOR, "#runs thead td:nth-child(2) .dtcc-button_dropdown").click()
    label = f"{ATTACK} darts:erm"
    listed = browser.find_elements(By.CSS_SELECTOR, ".dtcc-list-buttons .dtcc-button")
    assert [button.text for button in listed] == sorted(f"{ATTACK} {row}" for row in ROWS)
    next(button for button in listed if button.text == label).click()
    column = "#runs tbody td:nth-child(2)"
    WebDriverWait(browser, MINUTE).until(lambda driver: set(texts(driver, column)) == {label})
    assert browser.get_log("browser") == [], "no text of a method was executed"


def test_dark_pages_are_dark_and_figures_stay_on_white(folder: Path, browser: webdriver.Chrome) -> None:
    background = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
    colours = []
    for dark in (False, True):
        opened(browser, folder / "digits" / "index.html", dark=dark)
        colours.append([browser.execute_script(background, selector) for selector in ("body", "figure svg")])
    assert colours == [["rgb(255, 255, 255)"] * 2, ["rgb(33, 37, 41)", "rgb(255, 255, 255)"]]


def test_a_running_sweep_keeps_the_order_of_the_reader(browser: webdriver.Chrome, tmp_path: Path) -> None:
    report.write(tmp_path / "digits", evidence(), progress="1 of 2 runs are done")
    opened(browser, tmp_path / "digits" / "index.html")
    column = "figure.table table tbody tr td:nth-of-type(2)"
    sort(browser)
    order = texts(browser, column)[:4]
    opened(browser, tmp_path / "digits" / "index.html")
    assert texts(browser, column)[:4] == order


def test_20_000_runs_can_be_opened_sorted_and_searched(browser: webdriver.Chrome, tmp_path: Path) -> None:
    rows = {f"method_{place}": "multi-trial" for place in range(40)}
    (tmp_path / "runs.html").write_bytes(html.runs(listing(evidence(500, rows)), html.Summary("Many", [], 20_000, 0)))
    assert min(seconds_to_open(browser, tmp_path / "runs.html") for _ in range(3)) < OPENS_S
    assert "20,000 entries" in browser.find_element(By.CSS_SELECTOR, ".dt-info").text
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("method_39")
    column = "#runs tbody td:nth-child(2)"
    WebDriverWait(browser, MINUTE).until(lambda driver: set(texts(driver, column)) == {"method_39"})
    assert browser.get_log("browser") == []
