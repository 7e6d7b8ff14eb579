r"""Answers that know nothing are right for no question: a policy would learn them.

The ground truths are one of each kind that the benchmarks have. An answer here may name a kind ("(C)"), a range, every
candidate at once, a tautology, or nothing at all; what it may not do is equal a truth.
"""

from itertools import product

import pytest

from real.grading import grade_many
from tests.support.paths import ROOT

TRUTHS = [
    *(
        "204",
        "025",
        "-9",
        "1",
        "2",
        "0",
        "10",
        "-1",
        "1/2",
        r"\frac{3}{56}",
        r"1\frac{4}{5}",
        "0.06",
        "62.5%",
        r"$8 \%$",
    ),
    *(r"3\sqrt{13}", r"\sqrt{51}", r"\frac{\sqrt{3}}{3}", r"\pi", r"288 \pi", r"\frac{20000}{\pi}", r"2+\pi", "6 - 5i"),
    *(r"1+\sqrt{3}i", "8.7 \\times 10^{8}", "4.5e33", r"1 \times 10^{-3}", r"\$32,\!348", "10,\\!080", r"120^\circ"),
    *(
        r"864 \mbox{ inches}^2",
        r"5.4 \text{ cents}",
        "52_8",
        "4210_{5}",
        r"\text{(C)}",
        r"\text{east}",
        r"\text{Navin}",
    ),
    *(
        "(6,31,-1)",
        r"\left( 3, \frac{\pi}{2} \right)",
        "1,-2",
        "$-1,-9$",
        "$8$,$4$",
        "-2,-2",
        "1, 3, 5, 15",
        "E_1, E_2",
    ),
    *(r"\{1\pm\sqrt{5},-2\}", r"\left(\frac{3}{5},\frac{8}{3}\right]", r"(2,\infty)", r"$[-1,-\frac{1}{2}]$"),
    *(
        r"(-\infty, 2) \cup (3, \infty)",
        r"$(-\infty, 0) \cup\{1\}$.",
        r"$k \geqslant 2$",
        "$(3,2),(-3,2),(3,-2),(-3,-2)$",
    ),
    *(r"\begin{pmatrix} -1/3 \\ 2/3 \\ 5/3 \end{pmatrix}", r"\begin{pmatrix} -1 & 0 \\ 0 & -1 \end{pmatrix}", "p - q"),
    *("x^5 - x^4 + x^3 - x^2 + x - 1", "(a+5)(b+2)", r"\cot x", "5r^5", "2k", "$2n$", r"$\binom{2n}{n}$", "$2^{1009}$"),
    *(r"$m n-\lfloor m / 2\rfloor$", r"\frac{e^{at}-e^{-at}}{2a}", r"\sqrt{2} \cos (2 t-\pi / 4)", r"-\tau \ln \Delta"),
    *(
        "5x - 7y + 11z + 4 = 0",
        "y = 2x + 3",
        "$k=1$",
        "$f(x)=x+1$",
        r"$f(x)=\frac{1}{x}$",
        "$f(n)=n$, $g(n)=1$",
        "MR=SRMC",
    ),
    *(r"\frac{dM}{dt}=\frac{10^{5} L_{\odot}}{0.007 c^{2} M_{\odot}^{6}} M^{6}", r"y^{\prime}+ry-rx(t)=0", r"\alpha"),
    *(r"$x=\frac{1}{6} \pi+\pi k, \frac{1}{3} \pi+\pi k$", r"$\frac{\log 2}{\log 2-\log 3}$", r"$\frac{100!}{2^{50}}$"),
]
DIGITS = ", ".join(map(str, range(-10, 300)))
BLUFFS = [line for line in (ROOT / "tests/data/bluffs.txt").read_text().splitlines() if not line.startswith("# ")]
BLUFFS += [DIGITS, f"({DIGITS})", f"\\{{{DIGITS}\\}}"]
# what these bluffs really say
EARNED = {
    ("1/2", "1/2"), ("0.0", "0"), ("1e-999", "0"), ("0^0", "1"), ("x^0", "1"), ("x-x", "0"), (r"\frac{x}{x}", "1"),
    (r"\pm 1", "1,-1"), ("0=0", "0"), ("1=1", "1"), ("1=1", "$k=1$"), (r"\lim_{x\to 0} x", "0"), ("C:", r"\text{(C)}"),
}  # fmt: skip


def test_no_bluff_is_right_for_any_kind_of_truth():
    pairs = list(product(BLUFFS, TRUTHS))
    grades = grade_many([f"</think>\\boxed{{{bluff}}}" for bluff, _ in pairs], [truth for _, truth in pairs])
    assert len(pairs) > 15_000
    accepted = {pair for pair, found in zip(pairs, grades, strict=True) if found.correct}
    assert accepted <= EARNED


@pytest.mark.parametrize("template", ["{a}{s}{b}", "{b}{s}{a}", "{a}{s}{a}{s}{b}"])
def test_no_separator_lets_two_candidates_be_one_answer(template):
    """Whatever stands between them, an answer that names two values is right for neither."""
    signs = [
        " ", ",", ";", ":", "/", "|", "\\", "\\\\", "&", "~", r"\,", r"\;", r"\quad", r"\qquad", "+", "-", "*", "^",
        "_", "=", r"\ne ", r"\approx ", "<", ">", r"\le ", r"\to ", r"\text{ or }", r"\text{ and }", " or ", " and ",
        r"\cup ", r"\text{ not }", r"\text{ but not }", r"\text{, not }", r"\text{ rather than }", r"\text{ to }",
        r"\text{ (or }", r"\text{ maybe }", r"\text{ vs }", r"\text{ xor }", r"\mid ", r"\vee ", r"\wedge ", r"\pm ",
        r"\mp ", r"\%", "!", "?", "{}", "()", "[]", "$", "$$", r"\$", "...", r"\ldots ", "(", ")", "[", "]", r"\{",
        r"\}", "'", "`", '"', "@", "#", r"\displaystyle ", r"\mathrm{}", r"\text{}", r"\hspace{1em}", r"\phantom{x}",
        r"\left.", r"\right.", r"\!", "\n", "\t", r"}\boxed{", r"}$, $\boxed{", r"} \text{ or } \boxed{",
    ]  # fmt: skip
    pairs = [(a, b, sign) for a, b in (("17", "23"), ("23", "17"), (r"\sqrt{17}", r"\sqrt{23}")) for sign in signs]
    texts = [template.format(a=a, b=b, s=sign) for a, b, sign in pairs]
    for side in (0, 1):
        grades = grade_many([f"</think>\\boxed{{{text}}}" for text in texts], [pair[side] for pair in pairs])
        accepted = [text for text, found in zip(texts, grades, strict=True) if found.correct]
        assert [text for text in accepted if r"\phantom" not in text and r"}\boxed{" not in text] == []
