"""Extraction and grading of any text, by the real isolated workers: never an exception, never a status of its own."""

import os

from hypothesis import event, example
from hypothesis import strategies as st

from real.grading import final_answer, grade, grade_many
from real.grading.extraction import THINK
from tests.support.fuzzing import fuzz

STATUSES = {"exact", "symbolic", "wrong", "no_answer", "not_understood", "timeout", "worker_died"}
MARKER = "written_by_an_answer"
CODE = (
    f"__import__('os').mkdir('{MARKER}')",
    f"\\text{{__import__('os').mkdir('{MARKER}')}}",
    f"exec(\"open('{MARKER}','w')\")",
    f"$(touch {MARKER})",
    f"\\input{{|touch {MARKER}}}",
    f"\\immediate\\write18{{touch {MARKER}}}",
)
ATOMS = ("0", "1", "-7", "3.50", "10^{3}", "x", "y_1", "\\pi", "e", "\\infty", "\\frac12", "50\\%", "\\$5", "12{,}345")
ATOMS += ("\\text{Tuesday}", "2^{2^{2^{9}}}", "9!", "5\\text{ cm}", "1_2", "²", "½", "٣", "−4", "\\emptyset", "i")
WRAPS = ("{%s}", "(%s)", "[%s]", "\\{%s\\}", "\\left(%s\\right)", "\\sqrt{%s}", "\\boxed{%s}", "-%s", "\\frac{%s}{7}")
WRAPS += (
    "\\begin{pmatrix}%s\\end{pmatrix}",
    "|%s|",
    "\\log_2 %s",
    "%s^{\\circ}",
    "x=%s",
    "\\mathbf{%s}",
    "%s\\\\",
    "$%s$",
)
JOINS = ("+", "-", " ", ",", "\\cdot ", "/", "^", "=", "\\cup", "\\le ", ";", " \\text{ or } ", "&", "_", "\\pm ")
PIECES = ("\\boxed{", "}", "{", "\\", "</think>", THINK, "\\fbox {", "\x00", "\u202e", "\u200b", "\ufeff", "\n", "\r")

formulas = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.builds(lambda wrap, a: wrap.replace("%s", a), st.sampled_from(WRAPS), inner)
        | st.builds(lambda a, join, b: a + join + b, inner, st.sampled_from(JOINS), inner)
    ),
    max_leaves=6,
)
any_text = st.text(st.characters(), max_size=60)  # surrogates too
nested = st.builds(lambda n, a, b: "{" * n + a + "}" * b, st.integers(0, 3000), formulas, st.integers(0, 3000))
mixed = st.builds("".join, st.lists(formulas | any_text, max_size=3))
answers = st.one_of(formulas, any_text, st.sampled_from(CODE), nested, mixed)
responses = st.one_of(
    answers.map(lambda answer: f"</think>\\boxed{{{answer}}}"),
    st.builds("".join, st.lists(st.sampled_from(PIECES) | answers, max_size=12)),
    st.builds(lambda piece, n: piece * n, st.sampled_from(PIECES), st.integers(0, 20_000)),
)


# sums in both orders, which no pattern decides: what the workers are for
reordered = st.tuples(formulas, formulas).map(lambda ab: (f"\\boxed{{{ab[0]}+{ab[1]}}}", f"{ab[1]}+{ab[0]}"))


@example(response="\\boxed{" * 50_000, strict=False)
@example(response="{" * 100_000 + "}" * 100_000, strict=False)
@example(response="</think>\\boxed{" + "\\{" * 50_000 + "}", strict=True)
@fuzz(response=responses, strict=st.booleans())
def test_extraction_gives_a_part_of_the_response_or_nothing(response, strict):
    answer = final_answer(response, strict)
    assert answer is None or (answer and answer in response)


@fuzz(
    share=0.25, pairs=st.lists(st.tuples(responses, answers) | reordered, min_size=1, max_size=6), strict=st.booleans()
)
def test_any_response_is_graded_with_a_documented_status_and_no_code_is_run(pairs, strict):
    given, truths = zip(*pairs, strict=True)
    grades = grade_many(given, truths, processes=2, strict_format=strict, deadline_s=2)
    assert len(grades) == len(pairs)
    for found in grades:
        assert found.status in STATUSES
        event(found.status)
        assert found.correct == (found.status in ("exact", "symbolic"))
        assert (found.answer is None) == (found.status == "no_answer")
    assert not os.path.exists(MARKER)


@example(answer="1+\\boxed{0}")
@example(answer="1+\\boxed{0}")
@fuzz(share=0.25, answer=answers)
def test_a_text_against_itself_is_never_a_death_and_never_wrong_where_it_is_found_whole(answer):
    response = f"\\boxed{{{answer}}}"
    found = grade(response, answer)
    assert found.status != "worker_died"
    # a box within the box is read by its content, as no ground truth is written
    if final_answer(response) == answer.strip() != "" and "boxed" not in answer:
        assert found.correct, found
    assert not os.path.exists(MARKER)
