"""Norms, anisotropy and spectrum against slow formulae and known cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_sweeps.curves.figures.encoder_spectra import draw_spectra
from optical_sweeps.curves.tables.encoder_report import encoder_report, report_table


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(2, 30), st.integers(2, 8), st.integers(0, 99))
def test_the_mean_cosine_is_the_mean_over_all_pairs(count, dim, seed):
    vectors = unit(np.random.default_rng(seed).normal(size=(count, dim)) + 0.3)
    cosines = vectors @ vectors.T
    report = encoder_report(vectors, np.ones(count))
    assert report.mean_cosine == pytest.approx(cosines[~np.eye(count, dtype=bool)].mean())
    assert report.mean_norm == pytest.approx(np.linalg.norm(vectors.mean(0)))
    variances = np.sort(np.linalg.eigvalsh(np.cov(vectors.T, bias=True).reshape(dim, dim)))[::-1]
    np.testing.assert_allclose(report.spectrum, variances / variances.sum(), atol=1e-8)
    assert 1 - 1e-9 <= report.effective_rank <= dim + 1e-9


def test_a_cone_is_anisotropic_and_a_sphere_is_not():
    random = np.random.default_rng(0)
    sphere, cone = (unit(random.normal(size=(3000, 16)) + shift) for shift in (0.0, 3.0))
    reports = {name: encoder_report(of, np.ones(3000)) for name, of in (("sphere", sphere), ("cone", cone))}
    assert abs(reports["sphere"].mean_cosine) < 0.01
    assert reports["sphere"].effective_rank > 15.5
    assert reports["cone"].mean_cosine > 0.8


def test_equal_vectors_have_no_spectrum():
    report = encoder_report(np.tile(unit(np.ones((1, 4))), (5, 1)), np.arange(1.0, 6.0))
    assert report.mean_cosine == pytest.approx(1)
    assert report.spectrum.tolist() == [0] * 4
    assert report.norms[0] == 3


def test_one_token_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        encoder_report(np.ones((1, 2)), np.ones(1))


def test_the_table_and_the_figure(tmp_path):
    vectors = unit(np.random.default_rng(0).normal(size=(50, 8)))
    reports = {
        "student, fi $": encoder_report(vectors, np.full(50, 2.0)),
        "teacher": encoder_report(vectors, np.ones(50)),
    }
    table = report_table(reports)
    assert [row[0] for row in table.rows] == list(reports)
    assert "2.00" in table.render("markdown")
    first, second = (draw_spectra(reports, tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
