"""The grader stopped, forked, shadowed, starved, flooded: ordinary pairs are decided, time and memory are bounded."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from tqdm import tqdm

from real.grading import GradingError, grade, grade_many, memo, pool, reading, worker
from real.grading.memo import Memo
from real.grading.worker import NotUnderstoodError, equivalent, judged
from tests.support.paths import ROOT
from tests.support.processes import python, started

# ordinary pairs that need a worker, and pairs that never end, each another
ORDINARY = [(rf"\boxed{{\sum_{{k=1}}^{{{n}}} 1}}", str(n)) for n in range(200, 300)]
TOWERS = [(rf"\boxed{{\sum_{{k=1}}^{{3}} 9^{{9^{{9^{{{n}}}}}}}}}", "1") for n in range(9, 25)]


@pytest.fixture
def quick(monkeypatch):
    """First tries that are shorter, but ten times what an ordinary pair takes."""
    monkeypatch.setattr(pool, "FIRST_TRY_S", 0.3)


def graded(cases, **limits):
    responses, truths = zip(*cases, strict=True)
    return grade_many(responses, truths, **limits)


STOPPED = """
import json, sys
from real.grading import grade_many, pool
pool.FIRST_TRY_S = 1.5  # so that a deadline of its own passes while the caller is stopped
cases = json.load(sys.stdin)
print("started", flush=True)
grades = grade_many(*zip(*cases), processes=2, deadline_s=1.5)
print(json.dumps([found.status for found in grades]), flush=True)
"""


def test_a_caller_that_is_stopped_loses_no_answer():
    caller = started("-c", STOPPED)
    caller.stdin.write(json.dumps(ORDINARY))
    caller.stdin.close()
    assert caller.stdout.readline() == "started\n"
    while not caller.poll() and not (line := wait_for_line(caller, 0.4)):
        caller.send_signal(signal.SIGSTOP)
        time.sleep(2)  # longer than the deadline
        caller.send_signal(signal.SIGCONT)
    assert json.loads(line) == ["symbolic"] * len(ORDINARY)
    assert caller.wait() == 0


def wait_for_line(process, seconds):
    return process.stdout.readline() if pool.wait([process.stdout], seconds) else ""


class Ready:
    """A worker whose answer waits in the pipe, or never comes."""

    def __init__(self, line):
        self.answers, end = os.fdopen(os.pipe()[0]), None
        self.deadline, self.line, self.end = 0.0, line, end

    def receive(self):
        return self.line


def test_an_answer_that_waits_is_read_before_any_deadline_is_judged(monkeypatch):
    batch = pool._Batch([], 2, 1.0, pool.Patience())
    batch.busy = [answered, silent] = [Ready("true"), Ready("")]
    monkeypatch.setattr(pool, "wait", lambda *_: [answered.answers.fileno()])
    batch.now = 5.0
    assert batch._due() == [(answered, "true"), (silent, None)]


def test_time_in_which_the_caller_did_not_run_is_not_counted(monkeypatch):
    clock = iter([100.0, 4000.0])
    batch = pool._Batch([], 2, 6.0, pool.Patience())
    batch.busy = [worker] = [Ready("")]
    worker.deadline = 6.0
    monkeypatch.setattr(pool, "wait", lambda *_: [])
    monkeypatch.setattr(pool.time, "monotonic", lambda: next(clock))
    assert batch._due() == []
    assert batch.now == pool.STALL_S


def test_pairs_that_never_end_share_one_patience_and_cost_no_ordinary_pair(quick):
    begun = time.monotonic()
    grades = graded(TOWERS + ORDINARY, processes=2, deadline_s=8, batch_seconds=0.1)
    seconds = time.monotonic() - begun
    assert [found.status for found in grades[len(TOWERS) :]] == ["symbolic"] * len(ORDINARY)
    assert {found.status for found in grades[: len(TOWERS)]} <= {"timeout", "worker_died"}
    assert seconds < 3 * 8, "two second tries side by side, and some moments"


def test_a_slow_pair_is_decided_by_its_second_try(monkeypatch):
    monkeypatch.setattr(pool, "FIRST_TRY_S", 0.001)
    assert grade(r"\boxed{\sum_{k=1}^{9} k^2}", "285").status == "symbolic"


def test_a_second_key_of_one_pair_waits_no_second_time(monkeypatch):
    asked = []

    def decide(pairs, **_):
        asked.extend(pairs)
        return dict.fromkeys(pairs, "timeout")

    monkeypatch.setattr("real.grading.decide", decide)
    grades = grade_many(
        [r"\boxed{\sum_{k=1}^{3} y}", r"\boxed{\sum_{k=1}^{3} y }", r"\boxed{\sum_{k=1}^{3} y}"], ["3y", "3y", ["3y"]]
    )
    assert [found.status for found in grades] == ["timeout"] * 3
    assert len(asked) == len(set(asked))


def test_single_responses_share_a_patience_that_recovers(quick, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(pool.time, "monotonic", lambda: clock[0])
    patience = pool.Patience(seconds=10, recovery=0.1)
    assert [patience.take(6), patience.take(6), patience.take()] == [True, False, False]
    clock[0] = 30.0
    assert patience.take()
    assert patience.left == pytest.approx(1)
    clock[0] = 1000.0
    patience.take()
    assert patience.left == 10
    monkeypatch.undo()
    monkeypatch.setattr("real.grading._patience", pool.Patience(seconds=0))
    begun = time.monotonic()
    assert grade(*TOWERS[0]).status == "timeout"
    assert time.monotonic() - begun < pool.DEADLINE_S


def test_answers_that_nest_too_deep_are_not_understood_and_raise_nothing(monkeypatch):
    def nested(*_):
        raise RecursionError

    monkeypatch.setattr("real.grading.compare", nested)
    found = grade(r"\boxed{z^6+z^4}", "z^4(z^2+1)")
    assert (found.correct, found.status) == (False, "not_understood")


def test_the_memo_is_bounded_in_bytes_and_keeps_no_long_answer():
    kept = Memo(limit=100_000)
    for n in range(2000):
        kept.keep((f"{n:0200}", ("7",)), n)
    assert kept.bytes == sum(memo._bytes(key) for key in kept.values) <= 100_000
    assert kept.get((f"{1999:0200}", ("7",))) == 1999
    assert kept.get((f"{0:0200}", ("7",))) is None
    kept.keep(("7" * 24_000, ("7",)), 0)
    assert kept.get(("7" * 24_000, ("7",))) is None


def test_long_answers_leave_nothing_behind(monkeypatch):
    monkeypatch.setattr("real.grading._grades", kept := Memo())
    responses = (f"\\boxed{{{n}{'7' * 24_000}}}" for n in range(200))
    assert {grade(response, "7").status for response in responses} == {"not_understood"}
    assert kept.bytes == 0


def test_a_child_that_is_forked_while_a_thread_grades_can_grade():
    """The locks that the thread holds at that moment are the child's forever."""
    code = f"""
import os, threading
from tqdm import tqdm
from real import grading
from real.grading import grade_many
held = threading.Event()
def hold():
    with tqdm.get_lock(), grading._grades.lock:
        held.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
cases = {ORDINARY[:3]!r}
for _ in range(2):
    if os.fork() == 0:
        os._exit(0 if all(found.correct for found in grade_many(*zip(*cases))) else 3)
print([os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)], flush=True)
os._exit(0)
"""
    with started("-W", "ignore", "-c", code, process_group=0) as parent:
        line = wait_for_line(parent, 60)
        os.killpg(parent.pid, signal.SIGKILL)
    assert line == "[0, 0]\n"


def test_children_forked_beside_a_grading_thread_can_grade():
    stop = threading.Event()

    def work():
        n = 0
        while not stop.is_set():
            n += 1
            grade_many([f"\\boxed{{{n}.5}}", r"\boxed{\sum_{k=1}^{6} x}"], [f"{n}.50", f"{n}x"])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert [forked_grade() for _ in range(10)] == [0] * 10
    finally:
        stop.set()
        thread.join()


def forked_grade():
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if grade(r"\boxed{0.5}", "0.50").correct else 3)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


SHADOWS = ("signal", "fractions", "json", "re", "select", "socket", "random", "real", "sympy", "math_verify")


def test_files_of_the_current_folder_shadow_no_module_of_a_worker(tmp_path):
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the current folder')\n")
    code = (
        "import os, sys\nfrom real.grading import grade\nos.chdir(sys.argv[1])\n"
        "os.environ['PYTHONPATH'] = os.pathsep.join(['', '.', '../' + os.path.basename(sys.argv[1])])\n"
        r"print(grade(r'\boxed{\sum_{k=1}^{13} 1}', '13').status)"
    )
    done = python("-P", "-c", code, tmp_path)
    assert done.stdout.split() == ["symbolic"], done.stderr


def test_a_worker_that_cannot_start_is_quoted(monkeypatch, tmp_path):
    pool.end_idle_workers()
    monkeypatch.setattr(pool, "WORKER", tmp_path / "worker.py")
    pool.WORKER.write_text("raise ImportError('no antlr here')")
    with pytest.raises(GradingError, match=r"ended at once, saying: .*ImportError: no antlr here; check that"):
        grade(r"\boxed{\sum_{k=1}^{15} 1}", "15")


def test_an_interpreter_that_is_not_there_is_a_grading_error(monkeypatch):
    pool.end_idle_workers()
    monkeypatch.setattr(pool.sys, "executable", "/nowhere/python")
    with pytest.raises(GradingError, match=r"can't be started .*/nowhere/python"):
        grade(r"\boxed{\sum_{k=1}^{15} 1}", "15")


def test_a_workers_lack_of_memory_is_a_death_and_not_remembered(monkeypatch):
    pool.end_idle_workers()
    monkeypatch.setattr(pool, "FIRST_TRY_S", 5)
    small = "import sys; from real.grading import worker; worker.limit_memory = lambda _: None\n"
    small += "def starved(*_): raise MemoryError\n"
    small += "whole, worker.equivalent = worker.equivalent, lambda a, b: starved() if a == '(18)' else whole(a, b)\n"
    small += "worker.main(0)"
    real_popen = subprocess.Popen
    monkeypatch.setattr(
        pool.subprocess, "Popen", lambda _, **options: real_popen([sys.executable, "-c", small], cwd=ROOT, **options)
    )
    statuses = [grade(rf"\boxed{{\sum_{{k=1}}^{{{n}}} 1}}", str(n)).status for n in (18, 19)]
    pool.end_idle_workers()
    monkeypatch.undo()
    assert statuses == ["worker_died", "symbolic"]
    assert grade(r"\boxed{\sum_{k=1}^{18} 1}", "18").status == "symbolic"


def test_depth_is_not_comparable_and_memory_says_nothing(monkeypatch):
    def raising(error):
        def equivalent(*_):
            raise error

        return equivalent

    for error, verdict in ((RecursionError(), False), (ValueError(), False), (NotUnderstoodError(), "not_understood")):
        monkeypatch.setattr(worker, "equivalent", raising(error))
        assert judged("1", "1") is verdict or judged("1", "1") == verdict
    monkeypatch.setattr(worker, "equivalent", raising(MemoryError()))
    with pytest.raises(MemoryError):
        judged("1", "1")


DROPPED = [r"7 \approx 9", r"x \approx 7", r"7_{8}+x", "x'", r"x^T", r"x^{2}|_{3}", r"7+3'"]
WHOLE = [r"7+x", r"x_{8}+7", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^T", r"30^\circ", r"x=7", r"x\ne 7", r"\log_{3}(5)"]


@pytest.mark.parametrize("formula", DROPPED)
def test_a_formula_that_the_parser_would_read_in_part_equals_nothing(formula):
    with pytest.raises(NotUnderstoodError):
        equivalent(formula, "7")


@pytest.mark.parametrize("formula", WHOLE)
def test_what_is_read_whole_equals_itself(formula):
    assert equivalent(formula, formula)


def test_an_answer_that_is_not_understood_has_a_status_of_its_own_and_is_remembered(monkeypatch):
    pair = (r"\sqrt{x}", r"\sqrt{x} \approx 9")
    assert pool.decide([pair], 1) == {pair: "not_understood"}
    asked = []

    def decide(pairs, **_):
        asked.extend(pairs)
        return dict.fromkeys(pairs, "not_understood")

    monkeypatch.setattr("real.grading.decide", decide)
    for _ in range(2):
        found = grade(r"\boxed{\sum_{k=1}^{4} z}", "4z")
        assert (found.correct, found.status) == (False, "not_understood")
    assert len(asked) == len(set(asked)) > 0


def test_no_lock_of_the_progress_bar_is_taken_for_no_pairs():
    with tqdm.get_lock():
        thread = threading.Thread(target=grade, args=(r"\boxed{7}", "7"))
        thread.start()
        thread.join(30)
        assert not thread.is_alive()


def test_readings_of_long_answers_are_not_kept():
    kept = reading._kept.cache_info().currsize
    for n in range(20):
        grade(f"\\boxed{{{n}+{'x+' * 120}1}}", "7")
    assert reading._kept.cache_info().currsize <= kept + 1, "only the ground truth's"


NESTED = {
    "exponents": ("x^{", "2", "}"),
    "mixed numbers": (r"2\frac{", "2", "}{3}"),
    "fractions": (r"\frac{", "2", "}{3}"),
    "roots": (r"\sqrt{", "2", "}"),
    "brackets": ("(", "2", ")"),
    "tuples": ("(1,", "2", ")"),
    "sets": (r"\{1,", "2", r"\}"),
    "equations": ("(x=", "2", ")"),
    "set builders": (r"\{x : x=", "2", r"\}"),
    "bars": (r"\left|(", "2", r")\right|"),
    "signs": (r"(1\pm ", "2", ")"),
    "text": (r"\text{", "2", "}"),
    "units": ("5{", r"\text{m}", "}"),
    "functions": (r"\sin(f(", "2", "))"),
    "subscripts": ("x_{", "2", "}"),
    "derivatives": (r"\frac{d", "{x}", "}{dt}"),
    "factorials": ("(", "2", ")!"),
}


@pytest.mark.parametrize("kind", NESTED)
def test_what_nests_deeply_is_read_once(kind):
    """A reader that tried each level twice would need 2^39 steps, which this test would not outlive."""
    opening, inside, closing = NESTED[kind]
    for depth in (5, 39):
        answer = opening * depth + inside + closing * depth
        assert grade(f"\\boxed{{{answer}}}", "7").status in ("wrong", "not_understood"), answer
