"""The report in a browser: with a mouse, with the keyboard, on a small screen."""

import pytest

pytestmark = pytest.mark.integration

TOOLTIPS = """() => {
  const walk = (root) => [...root.querySelectorAll("*")].flatMap((element) => [
    ...(String(element.className).includes("bk-Tooltip") ? [(element.shadowRoot || element).textContent] : []),
    ...(element.shadowRoot ? walk(element.shadowRoot) : []),
  ]);
  return walk(document).join(" ");
}"""
"""Script that returns the text of tooltips from the plotting library's shadow trees."""


def _column(page, number: int) -> list[str]:
    return page.locator(f"#run-table tbody tr td:nth-child({number})").all_inner_texts()


def _next_drawing(page, act) -> None:
    before = page.evaluate("document.documentElement.dataset.drawn")
    act()
    page.wait_for_function("before => document.documentElement.dataset.drawn !== before", arg=before)


def _chip(page, selector: str):
    return lambda: page.locator(f"#filters {selector}").click()


def test_markup_in_data_is_shown_and_not_executed(opened):
    page = opened()
    assert page.evaluate("window.ran") is None
    assert page.locator("main img").count() == 0
    for place in ("#query-table", "#notices", "#facts"):
        assert "<script>window.ran = 1</script>" in page.locator(place).inner_text()
    assert page.title() == "small <i>"


def test_tuning_and_drift_are_shown_in_both_themes(opened):
    page = opened()
    tuning = page.locator("#tuning")
    assert tuning.locator("tbody tr").count() == tuning.locator("polyline").count() == 2
    assert tuning.locator("tbody tr").first.inner_text().split("\t")[2:4] == ["3", "1"]
    assert "<script>window.ran = 1</script>" in tuning.inner_text()
    light = tuning.locator("polyline").first.get_attribute("stroke")
    _next_drawing(page, page.locator("#theme").click)
    assert tuning.locator("polyline").first.get_attribute("stroke") != light
    headings = page.locator("#run-table th").all_inner_texts()
    assert {"query mean norm", "English similarity"} <= set(headings)


def test_missing_and_failed_points_are_listed_first(opened):
    notice = opened().locator("#notices").inner_text()
    assert "1 failed" in notice
    assert "1 missing" in notice
    assert "the loss is nan" in notice


def test_another_language_adds_a_chart_and_a_column(opened):
    page = opened()
    assert page.locator("figure.chart").count() == 3
    _next_drawing(page, _chip(page, "[data-slice=distant]"))
    assert page.locator("figure.chart").count() == 4
    assert "distant" in page.locator("#run-table thead").inner_text()
    assert page.locator("figure.chart canvas").count() >= 4


def test_an_objective_and_a_seed_can_be_left_out(opened):
    page = opened()
    assert "contrastive" in page.locator("#legend").inner_text()
    _next_drawing(page, _chip(page, "[data-objective=contrastive]"))
    assert "contrastive" not in page.locator("#legend").inner_text()
    assert set(_column(page, 2)) == {"optical", "zero-shot"}
    _next_drawing(page, _chip(page, "[data-seed='2']"))
    assert set(_column(page, 4)) <= {"1", ""}
    assert "no intervals" in page.locator("#curves-note").inner_text()


def test_an_empty_selection_says_so(opened):
    page = opened()
    for slice in ("group:low", "group:high"):
        _next_drawing(page, _chip(page, f"[data-slice='{slice}']"))
    page.locator("#filters [data-slice='group:all']").click()
    page.wait_for_selector("#charts .empty")


def test_the_table_of_values_is_of_the_measure_chosen(opened):
    page = opened()
    page.click("#values summary")
    page.wait_for_selector("#values-table table")
    first = page.locator("#values-table").inner_text()
    assert "zero-shot" in first
    assert "[" in first
    _next_drawing(page, lambda: page.select_option("#measure", "MRR@10"))
    second = page.locator("#values-table").inner_text()
    assert second != first
    assert "[" not in second


def test_sorting_by_a_score_and_back(opened):
    page = opened()
    button = page.locator("#run-table [data-sort='slice:group:all']")
    button.click()
    place = page.locator("#run-table thead th").all_inner_texts().index("all") + 1
    down = [float(text) for text in _column(page, place) if text]
    assert down == sorted(down, reverse=True)
    page.locator("#run-table [data-sort='slice:group:all']").click()
    up = [float(text) for text in _column(page, place) if text]
    assert up == down[::-1]
    assert page.locator("th[aria-sort=ascending]").count() == 1


def test_finding_runs_by_words_and_state(opened):
    page = opened()
    page.fill("#find", "optical seed=2")
    assert page.locator("#run-table tbody tr").count() == 3
    page.fill("#find", "nothing of that kind")
    assert "No run" in page.locator("#run-table").inner_text()
    page.fill("#find", "")
    page.locator("#states [data-state=done]").click()
    assert set(_column(page, 1)) == {"failed", "missing"}


def test_links_lead_into_run_folders(opened, report):
    page = opened()
    for link in page.locator("#run-table a").all():
        run = link.inner_text()
        if run != "absent":
            path = link.evaluate("link => decodeURIComponent(new URL(link.href).pathname)")
            assert path == f"{report.parent}/{run}/"
            assert (report.parent / run).is_dir()


def test_two_runs_are_compared(opened):
    page = opened()
    page.select_option("#run-a", "opt0_5s1")
    page.select_option("#run-b", "con0_5s1")
    differ = page.locator("#config-diff").inner_text()
    assert "objective.solver.epsilon" in differ
    assert "not set" in differ
    assert "mixture.ratio" not in differ
    before = page.locator("#pair-summary tbody tr").first.locator("td").all_inner_texts()
    page.click("#swap")
    after = page.locator("#pair-summary tbody tr").first.locator("td").all_inner_texts()
    assert (after[1], after[2]) == (before[2], before[1])
    assert (after[4], after[6]) == (before[6], before[4])


ROWS = """(table) => [...document.querySelectorAll(`${table} tbody tr`)].map((row) => [
  ...[...row.cells].filter((cell) => cell.className.startsWith("number")).map((cell) => cell.textContent),
  row.querySelector(".better") ? 1 : row.querySelector(".worse") ? -1 : 0,
])"""
"""Script that returns the numbers of each row, and the colour of its difference as a sign."""


def _numbers(page, table: str) -> list[list[float]]:
    return [[float(str(cell).replace("−", "-")) for cell in row] for row in page.evaluate(ROWS, table)]


def test_a_difference_is_a_minus_b(opened):
    page, signs = opened(), set()
    for a_run, b_run in (("opt0_5s1", "con0_5s1"), ("con0_5s1", "opt0_5s1")):
        page.select_option("#run-a", a_run)
        page.select_option("#run-b", b_run)
        for a, b, difference, a_better, _, b_better, sign in _numbers(page, "#pair-summary"):
            assert difference == pytest.approx(a - b, abs=0.11)
            assert sign == (difference > 0) - (difference < 0)
            signs.add((sign, a_better > b_better))
        keys = {
            "a": lambda a, b, gap: -gap,
            "b": lambda a, b, gap: gap,
            "apart": lambda a, b, gap: -abs(gap),
            "worst": lambda a, b, gap: a + b,
        }
        for order, key in keys.items():
            page.select_option("#query-order", order)
            rows = _numbers(page, "#query-table")
            assert len(rows) > 5
            assert all(gap == pytest.approx(a - b, abs=0.11) for a, b, gap, _ in rows)
            assert all(sign == (gap > 0) - (gap < 0) for *_, gap, sign in rows)
            ordered = [key(*row[:3]) for row in rows]
            assert ordered == pytest.approx(sorted(ordered), abs=0.25)
    assert signs >= {(1, True), (-1, False)}


def test_a_run_is_selected_from_the_table(opened):
    page = opened()
    page.locator("tr[data-run=opt1s2] [data-side=a]").click()
    assert page.input_value("#run-a") == "opt1s2"
    assert page.get_attribute("tr[data-run=opt1s2] [data-side=a]", "aria-pressed") == "true"


def test_queries_are_ordered_found_and_filtered(opened):
    page = opened()
    gaps = page.locator("#query-table tbody tr td:nth-child(6)").all_inner_texts()
    sizes = [float(gap[1:]) for gap in gaps]
    assert sizes == sorted(sizes, reverse=True)
    page.select_option("#query-order", "b")
    gaps = page.locator("#query-table tbody tr td:nth-child(6)").all_inner_texts()
    assert gaps[0].startswith("−")
    page.select_option("#query-language", "distant")
    assert set(page.locator("#query-table tbody tr td:nth-child(1)").all_inner_texts()) == {"distant"}
    page.fill("#find-query", "distant q7")
    assert page.locator("#query-table tbody tr").count() == 1


def test_hover_shows_a_points_score_and_interval(opened):
    page = opened()
    box = page.locator("figure.chart .canvas").first.bounding_box()
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 5 + step * 6)
        found = page.evaluate(TOOLTIPS)
        if "nDCG@10" in found:
            break
        page.wait_for_timeout(20)
    assert "nDCG@10" in found
    assert "[" in found


def test_the_keyboard_does_what_clicks_do(opened):
    page = opened()
    page.locator("#filters [data-objective=optical]").focus()
    _next_drawing(page, lambda: page.keyboard.press("Space"))
    assert "optical" not in page.locator("#legend").inner_text()
    page.locator("#run-table [data-sort=seed]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.sort") == "seed"
    assert page.locator("th[aria-sort]").inner_text() == "seed"


def test_tab_reaches_every_control_in_order(opened):
    page = opened()
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip"
    assert seen[1] == "theme"
    assert {"measure"} <= set(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_switch(opened, scheme):
    page = opened(color_scheme=scheme)
    other = {"light": "dark", "dark": "light"}[scheme]
    assert page.get_attribute("html", "data-theme") == scheme
    _next_drawing(page, lambda: page.click("#theme"))
    assert page.get_attribute("html", "data-theme") == other


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_the_page_never_scrolls_sideways(opened, width):
    page = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
