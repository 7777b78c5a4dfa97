import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from optical_sweeps.curves.figures.curve_figures import (
    gain_figure,
    group_figure,
    language_figure,
    save_all_figures,
)
from optical_sweeps.curves.figures.figure_style import INCHES, OTHER_STYLES, STYLES, Width, save_figure
from optical_sweeps.curves.statistics.study import Study

Groups = dict[str, tuple[str, ...]]
FIGURES = [group_figure, gain_figure, language_figure]


@pytest.fixture
def study(per_query: pandas.DataFrame, groups: Groups) -> Study:
    return Study(per_query, groups, replicates=100)


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("width", list(INCHES))
@pytest.mark.parametrize("draw", FIGURES)
def test_figures_fit_the_paper_and_are_legible(study: Study, draw: object, width: Width) -> None:
    figure = draw(study, width=width)  # type: ignore[operator]
    assert figure.get_figwidth() == INCHES[width]
    figure.draw_without_rendering()
    assert min(text.get_fontsize() for text in texts(figure)) >= 7
    shown = {text.get_text() for text in texts(figure)}
    assert {"share of low-resource pairs", "optical", "contrastive", "zero-shot"} <= shown
    assert any("nDCG@10" in text for text in shown)
    page = figure.bbox
    for text in texts(figure):
        if text.get_visible():
            box = text.get_window_extent()
            assert box.x0 >= page.x0 - 1, text
            assert box.x1 <= page.x1 + 1, text


def test_lines_show_the_curves(study: Study) -> None:
    figure = group_figure(study)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ["high-resource languages", "low-resource languages"]
    for panel, slice in zip(figure.axes, ("group:high", "group:low"), strict=True):
        lines = {str(line.get_label()): line for line in panel.get_lines()}
        curve = study.curve("optical", slice)
        np.testing.assert_array_equal(lines["optical"].get_xdata(), curve.x)
        np.testing.assert_array_equal(lines["optical"].get_ydata(), curve.mean)
        level = study.reference(slice)
        assert level is not None
        assert set(np.asarray(lines["zero-shot"].get_ydata())) == {level.mean[0]}
        assert lines["zero-shot"].get_linestyle() == "--"


def test_gains_are_differences_from_zero_shot(study: Study) -> None:
    panel = gain_figure(study, groups=("low",)).axes[0]
    lines = {str(line.get_label()): line for line in panel.get_lines()}
    expected = study.difference("optical", "none", "group:low").mean
    np.testing.assert_array_equal(lines["optical"].get_ydata(), expected)
    assert set(np.asarray(lines["zero-shot"].get_ydata())) == {0}


def test_every_language_has_a_panel_of_the_same_span(study: Study) -> None:
    figure = language_figure(study, width="column")
    assert [panel.get_title() for panel in figure.axes] == ["de (high)", "fr (high)", "ar (low)", "fa (low)"]
    spans = [np.ptp(panel.get_ylim()) for panel in figure.axes]
    np.testing.assert_allclose(spans, spans[0])
    for panel in figure.axes:
        low, high = panel.get_ylim()
        for line in panel.get_lines():
            assert low <= np.min(line.get_ydata()) <= np.max(line.get_ydata()) <= high


def test_objectives_differ_without_colour() -> None:
    styles = [*STYLES.values(), *OTHER_STYLES]
    assert len({style.marker for style in styles}) == len(styles)
    assert len({style.colour for style in styles}) == len(styles)
    assert len({style.line for style in STYLES.values()}) == len(STYLES)


def test_files_are_identical_in_every_process(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.support.curve_study import GROUPS, made_up_study
from optical_sweeps.curves.statistics.study import Study
from optical_sweeps.curves.figures.curve_figures import gain_figure, language_figure
from optical_sweeps.curves.figures.figure_style import save_figure
study = Study(made_up_study(n_queries=5), GROUPS, replicates=20)
save_figure(gain_figure(study, width="column"), Path(sys.argv[1]) / "gains")
save_figure(language_figure(study, width="column"), Path(sys.argv[1]) / "languages")
"""
    folders = [tmp_path / "one", tmp_path / "two"]
    for seed, folder in enumerate(folders):
        subprocess.run(
            [sys.executable, "-c", program, str(folder)],
            check=True,
            cwd=Path(__file__).parents[3],
            env={
                "PYTHONHASHSEED": str(seed),
                "PYTHONPATH": str(Path(__file__).parents[3]),
                "HOME": str(tmp_path),
            },
        )
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["gains.pdf", "gains.png", "languages.pdf", "languages.png"]
    for name in names:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes(), name


def test_png_has_300_dpi_and_pdf_has_vector_text(study: Study, tmp_path: Path) -> None:
    from matplotlib.image import imread

    pdf, png = save_figure(group_figure(study, width="column"), tmp_path / "new" / "groups")
    assert imread(png).shape[1] == 990
    content = pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/Type /Font" in content
    assert b"/Subtype /Image" not in content
    assert b"CreationDate" not in content


def test_a_study_without_zero_shot_or_groups_is_drawn(
    per_query: pandas.DataFrame, groups: Groups, tmp_path: Path
) -> None:
    trained = per_query[per_query["objective"] != "none"]
    without = {path.name for path in save_all_figures(Study(trained, groups, replicates=10), tmp_path / "a")}
    assert without == {f"{k}-{w}.{e}" for k in ("groups", "languages") for w in INCHES for e in ("pdf", "png")}
    assert language_figure(Study(trained, {}, replicates=10)).axes[0].get_title() == "ar"


def test_all_figures_of_a_whole_study_are_saved(study: Study, tmp_path: Path) -> None:
    names = {path.name for path in save_all_figures(study, tmp_path)}
    kinds = ("gains", "groups", "languages")
    assert names == {f"{k}-{w}.{e}" for k in kinds for w in INCHES for e in ("pdf", "png")}
    assert {path.name for path in tmp_path.iterdir()} == names
