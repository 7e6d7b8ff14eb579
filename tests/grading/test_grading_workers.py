"""The grader's workers: hostile and pathological answers, deaths, deadlines, memory, and every kind of caller."""

import asyncio
import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sympy import Rational, sympify
from sympy.parsing import parse_expr, sympy_parser

from real.grading import GradingError, grade, grade_many, pool
from real.grading.worker import equivalent, forbid_evaluation
from tests.support.paths import ROOT
from tests.support.processes import python

HOSTILE = [
    "__import__('os').system('touch {marker}')",
    "\\_\\_import\\_\\_('os').system('touch {marker}')",
    "eval(\"open('{marker}','w')\")",
    "exec(open('{marker}','w'))",
    "().__class__.__base__.__subclasses__()",
    "lambda: open('{marker}','w')",
    "\\sympify{{open('{marker}','w')}}",
    "1/3 if open('{marker}','w') else 1",
    "\\text{{open('{marker}','w')}}+\\frac{{1}}{{7}}",
    "`touch {marker}`$(touch {marker})",
]


@pytest.mark.parametrize("truth", ["7", r"\frac{1}{3}", "x+1", r"\sqrt{2}"])
def test_no_hostile_answer_runs_and_the_batch_finishes(tmp_path, truth):
    marker = tmp_path / "ran"
    responses = [f"\\boxed{{{text.format(marker=marker)}}}" for text in HOSTILE]
    grades = grade_many([*responses, f"\\boxed{{{truth}}}"], [truth] * (len(responses) + 1))
    assert not marker.exists()
    assert [g.correct for g in grades] == [False] * len(responses) + [True]


def test_the_worker_hands_no_hostile_text_to_python_either(tmp_path):
    """Past the fast path: the worker's own function gets the raw text."""
    marker = tmp_path / "ran"
    for text in HOSTILE:
        with contextlib.suppress(Exception):  # most of it is no LaTeX
            equivalent(r"\frac{1}{3}", text.format(marker=marker))
    assert not marker.exists()


def test_workers_have_no_way_from_text_to_code(monkeypatch, tmp_path):
    """Neither by sympify nor by a parse_expr that was imported before; digits are still read, and exactly."""
    for name in ("parse_expr", "eval_expr"):
        monkeypatch.setattr(sympy_parser, name, getattr(sympy_parser, name))  # put back afterwards
    forbid_evaluation()
    marker = tmp_path / "ran"
    for text in (f"__import__('os').system('touch {marker}')", "1+1", "x", "1e5", "٣"):
        for read in (sympify, parse_expr):
            with pytest.raises(ValueError, match="is not evaluated"):
                read(text)
    assert not marker.exists()
    assert (sympify("007"), sympify("0.1")) == (7, Rational(1, 10))
    assert equivalent(r"\frac{2}{\sqrt{2}}", r"\sqrt{2}")


def test_an_idle_worker_that_was_killed_is_replaced(monkeypatch):
    pool.end_idle_workers()
    assert grade(r"\boxed{\sum_{k=1}^{12} 1}", "12").status == "symbolic"
    for worker in pool._idle:
        worker.process.kill()
        worker.process.wait()
    assert grade(r"\boxed{\sum_{k=1}^{13} 1}", "13").status == "symbolic"


def test_pathological_answers_end_at_their_deadline_and_their_neighbours_are_graded():
    slow = [r"\prod_{k=1}^{10^{8}} k", r"\sum_{k=1}^{3} 9^{9^{9^{9}}}"]
    refused = [
        "10000000!",
        "((20!)!)!",
        "9^{9^{9^{9}}}",
        r"\left(1+\frac{1}{10^{100}}\right)^{10^{100}}",
        "1" * 100_000,
        "(" * 3000 + "1" + ")" * 3000,
        "1\x002",
        "1e1000000",
        r"\frac{" * 300 + "1" + "}{2}" * 300,
        "(" * 450 + "1" + ")" * 450,
        r"\{" * 300 + r"\}" * 300,
    ]
    answers = [*slow, *refused, "5.0", r"\sum_{k=1}^{5} 1"]
    grades = grade_many([f"\\boxed{{{a}}}" for a in answers], ["5"] * len(answers), processes=2, deadline_s=1.5)
    assert {g.status for g in grades[: len(slow)]} <= {"timeout", "worker_died"}
    assert {g.status for g in grades[len(slow) : -2]} <= {"wrong", "not_understood"}
    assert [g.status for g in grades[-2:]] == ["exact", "symbolic"]


class Suicidal(pool.Worker):
    """A worker that is killed as soon as it is given a certain pair."""

    def send(self, pair, *limits):
        if "{9}" in pair[1]:
            self.process.kill()
            self.process.wait()
        super().send(pair, *limits)


def test_a_worker_that_dies_twice_on_a_pair_is_reported_and_never_scored_as_wrong(monkeypatch):
    pool.end_idle_workers()
    monkeypatch.setattr(pool, "Worker", Suicidal)
    responses = [rf"\boxed{{\sum_{{k=1}}^{{{n}}} 1}}" for n in (9, 4, 7)]
    statuses = [g.status for g in grade_many(responses, ["9", "4", "8"])]
    pool.end_idle_workers()
    assert statuses == ["worker_died", "symbolic", "wrong"]


def test_an_unfinished_verdict_is_not_remembered(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("real.grading.decide", lambda pairs, **_: dict.fromkeys(pairs, "timeout"))
        assert grade(r"\boxed{\sum_{k=1}^{17} 1}", "17").status == "timeout"
    assert grade(r"\boxed{\sum_{k=1}^{17} 1}", "17").status == "symbolic"


def test_workers_that_cannot_start_say_what_to_check(monkeypatch):
    pool.end_idle_workers()
    monkeypatch.setattr(pool.sys, "executable", "/bin/false")
    with pytest.raises(GradingError, match=r"worker process ended at once.*math-verify"):
        grade(r"\boxed{\sum_{k=1}^{11} 1}", "11")


# these need a worker
BATCH = [(rf"\boxed{{\sum_{{k=1}}^{{{n}}} 1}}", str(n)) for n in range(100, 110)]


def test_grading_works_from_threads():
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda pair: grade(*pair).status, BATCH * 2))
    assert results == ["symbolic"] * len(results)


def test_grading_works_inside_asyncio():
    async def main():
        responses, truths = zip(*BATCH, strict=True)
        return await asyncio.gather(*(asyncio.to_thread(grade_many, responses, truths) for _ in range(3)))

    assert {g.correct for grades in asyncio.run(main()) for g in grades} == {True}


@pytest.mark.slow
def test_grading_works_inside_ray_actors_with_threads():
    ray = pytest.importorskip("ray", reason="Ray comes with the environment of the verl engine")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:

        @ray.remote(max_concurrency=2)
        class Grader:
            def grade(self, response, truth):
                return grade(response, truth).status

        grader = Grader.remote()
        assert ray.get([grader.grade.remote(*pair) for pair in BATCH], timeout=300) == ["symbolic"] * len(BATCH)
    finally:
        ray.shutdown()


SCRIPT = "from real.grading import grade\nprint(grade(r'\\boxed{\\sum_{k=1}^{25} 1}', '25').status, flush=True)\n"


@pytest.mark.parametrize("how", ["script without a main guard", "standard input", "-c", "forked child"])
def test_workers_never_import_the_callers_main(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    fork = "import os\n" + SCRIPT + "pid = os.fork()\nprint(grade(r'\\boxed{\\sum_{k=1}^{26} 1}', '26').status)\n"
    fork += "os.waitpid(pid, 0) if pid else None\n"
    command, text = {
        "script without a main guard": ([str(script)], None),
        "standard input": (["-"], SCRIPT),
        "-c": (["-c", SCRIPT], None),
        "forked child": (["-W", "ignore", "-c", fork], None),
    }[how]
    done = subprocess.run(
        [sys.executable, *command],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.stdout.split() == ["symbolic"] * (3 if how == "forked child" else 1), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't enforce RLIMIT_AS")
def test_a_worker_cannot_take_more_memory_than_its_limit():
    code = "from real.grading.worker import limit_memory; limit_memory(2**29); bytearray(2**30)"
    assert "MemoryError" in python("-c", code).stderr
