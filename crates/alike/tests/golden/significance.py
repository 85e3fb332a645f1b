"""Writes significance.json: what SciPy and statsmodels say of the tests of significance."""

import json
import pathlib

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway


def test(result):
    return [float(result.statistic), float(result.pvalue)]


def groups(values):
    everything = np.concatenate(values)
    residuals = np.concatenate([v - v.mean() for v in values])
    return {
        "groups": [v.tolist() for v in values],
        "df": [len(values) - 1, len(everything) - len(values)],
        "classic": test(stats.f_oneway(*values)),
        "normality": test(stats.shapiro(residuals)),
        "equal_variances": test(stats.levene(*values, center="median")),
        "welch": test(anova_oneway(values, use_var="unequal", welch_correction=True)),
        "kruskal": test(stats.kruskal(*values)),
    }


def pair(first, second):
    return {
        "first": first.tolist(),
        "second": second.tolist(),
        "t": test(stats.ttest_rel(first, second)),
        "wilcoxon": test(stats.wilcoxon(first, second, method="asymptotic", correction=False)),
    }


def main():
    rng = np.random.default_rng(2026)
    shapiro = [rng.normal(size=n) for n in (3, 4, 5, 6, 11, 12, 50, 400)] + [rng.exponential(size=n) for n in (7, 30, 300)]
    p = rng.uniform(size=9) ** 3
    case = {
        "anova": [
            groups([rng.normal(m, s, n) for m, s, n in ((0.08, 0.001, 3), (0.081, 0.001, 5), (0.09, 0.001, 3))]),
            groups([rng.normal(m, s, n) for m, s, n in ((1, 0.1, 6), (1.1, 2, 5), (3, 1, 4), (1, 0.5, 7))]),
            groups([np.round(rng.exponential(s, n), 1) for s, n in ((1, 9), (2, 9))]),
        ],
        "paired": [
            pair(rng.normal(size=40), rng.normal(0.3, 1, size=40)),
            # Recall of single users: few different values, many equal pairs.
            pair(rng.integers(0, 4, 300) / 3, rng.integers(0, 5, 300) / 4),
        ],
        "shapiro": [{"values": v.tolist(), "test": test(stats.shapiro(v))} for v in shapiro],
        "holm": {"p": p.tolist(), "corrected": multipletests(p, method="holm")[1].tolist()},
    }
    path = pathlib.Path(__file__).parent / "significance.json"
    path.write_text(json.dumps(case, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
