"""The grader's accuracy, agreement with the released grader, and speed, with math-verify called directly beside it.

    python -m benchmarks.grading                 # about ten minutes on two cores, most of it the other graders
    python -m benchmarks.grading --skip-peer     # about three
    python -m benchmarks.grading --peer-tests FILE   # and a file of another grader's own tests: gold, response, label

Accuracy: the labelled cases of tests/data/grading_cases.jsonl, per category; cases whose label is a convention are
shown and not counted. Restatements: tests/support/restatements, both seeds, of the prepared benchmarks' ground truths
(without them, of the labelled cases'); --table writes a row per rule. The other graders are math-verify and, where
it is installed (pip install mathruler==0.1.0 pylatexenc), MathRuler, PRM800K's; they grade a sample of each rule.
Agreement: tests/data/golden_grades.jsonl, graded by the authors' code. Speed: one worker process, which works while the
caller waits, so that a rate per second is one per core. The evaluation mix is synthetic and printed; it needs prepared
datasets (snakemake datasets).

What was left out: real model outputs, of which none are at hand, and the time a worker takes to start (printed apart).
"""

import argparse
import json
import logging
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from real import grading
from real.config import ConfigError
from real.grading import Grade, grade_many, pool, reading
from real.tasks.datasets import load_problems
from real.tasks.sources import DatasetError
from tests.support.restatements.golds import read_golds
from tests.support.restatements.pairs import RULES, SEEDS, pairs

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
BENCHMARKS = ("aime", "aime25", "math", "amc", "minerva", "olympiad_bench")
SAMPLES = 16
PER_RULE, PEER_PER_RULE = 140, 10
RULE_COLUMNS = ["equal", "kind", "rule"]
THINKING = "<think>" + "Let me check this step once more. " * 700 + "</think>"  # 24,000 characters
# golden category -> why the two graders differ
REASONS = {
    "integer": "equal arithmetic and units count here; the released grader takes 42.00000001 and 4 2 for 42",
    "int_gt": "unreduced fractions count here",
    "fraction": "unreduced fractions count here",
    "half": "unreduced fractions and percentages count here",
    "power": "equal powers count here",
    "commas": r"\, separates thousands here",
    "percent": "'percent' is read here",
    "percent_gt": "0.25 is 25 % here",
    "degrees": "the degree sign is read here",
    "units": "bare units are read here",
    "tuple": "a bare list equals a tuple in its order here",
    "tuple_int": "a bare list equals a tuple in its order here",
    "interval": "inequalities are intervals here",
    "interval_union": "unions are unordered here",
    "set": "sets are unordered here",
    "list": "lists are unordered here",
    "equation": "equations have no direction here",
    "sci": "scientific notation is exact here",
    "base": "a missing base is forgiven here",
    "gt_empty_str": "an empty box is no answer here",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-peer", action="store_true", help="don't run the other graders")
    parser.add_argument("--per-rule", type=int, default=PER_RULE, help="pairs of each rule and seed")
    parser.add_argument("--table", type=Path, help="where to write the rows per rule, as CSV")
    parser.add_argument("--peer-tests", type=Path, help="JSON lines with gold, response and label")
    arguments = parser.parse_args()
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    start = time.perf_counter()
    grade_many([r"\boxed{\sum_{k=1}^{2} 1}"], ["2"], processes=1)
    print(f"first worker started and asked once: {time.perf_counter() - start:.1f} s\n")
    accuracy(peer=not arguments.skip_peer)
    by_rule = pd.concat([restatements(seed, arguments) for seed in SEEDS])
    if arguments.table:
        by_rule.to_csv(arguments.table)
    if arguments.peer_tests:
        peer_tests(arguments.peer_tests)
    agreement()
    integers()
    evaluation_mix(peer=not arguments.skip_peer)
    pathological()


def accuracy(peer: bool) -> None:
    """A row per category: cases, and false verdicts of this grader and of math-verify alone."""
    cases = [json.loads(line) for line in (DATA / "grading_cases.jsonl").read_text(encoding="utf-8").splitlines()]
    responses = [case.get("response") or f"{THINKING}\\boxed{{{case['answer']}}}" for case in cases]
    table = pd.DataFrame(cases)[["kind", "category", "label"]]
    table["false"] = [g.correct for g in grade_many(responses, [case["gold"] for case in cases])] != table["label"]
    columns = {"cases": ("false", "size"), "false verdicts": ("false", "sum")}
    if peer:
        verdicts = [math_verify(r, case["gold"]) for r, case in zip(tqdm(responses, "peer"), cases, strict=True)]
        table["peer"] = verdicts != table["label"]
        columns["math-verify alone"] = ("peer", "sum")
    print("Accuracy\n", table.groupby(["kind", "category"]).agg(**columns).to_markdown(), "\n")
    rates = table.groupby("kind")[[c for c in ("false", "peer") if c in table]].mean()
    print("Rates (neg: false positives, pos: false negatives)\n", rates.to_markdown(floatfmt=".4f"), "\n")


def restatements(seed: int, arguments: argparse.Namespace) -> pd.DataFrame:
    """Rows per rule: pairs, and false verdicts of this grader; of a sample, those of the others too."""
    truths, source = ground_truths()
    made = pairs(seed, read_golds(truths), arguments.per_rule)
    responses = [f"</think>\\boxed{{{pair.answer}}}" for pair in made]
    table = pd.DataFrame([(pair.equal, RULES[pair.rule].kind, pair.rule) for pair in made], columns=RULE_COLUMNS)
    forget()
    start = time.process_time()
    found = grade_many(responses, [pair.gold.text for pair in made], processes=1)
    speed = len(made) / (time.process_time() - start)
    table["false verdicts"] = [one.correct for one in found] != table["equal"]
    sample = table.groupby("rule").head(0 if arguments.skip_peer else PEER_PER_RULE)
    for name, grader in peers().items():
        verdicts = [grader(responses[at], made[at].gold.text) for at in tqdm(sample.index, name)]
        table.loc[sample.index, f"{name}'s"] = pd.array(verdicts) != sample["equal"]
    graders = [column for column in table if column not in RULE_COLUMNS]
    print(f"Restatements of {source}, seed {seed}: {len(made)} pairs, {speed:,.0f} grades per CPU-second here.")
    print(f"Shares of false verdicts; the other graders' on {PEER_PER_RULE} pairs of each rule:\n")
    print(table.groupby("equal")[graders].mean().assign(pairs=table["equal"].value_counts()).to_markdown(), "\n")
    by_kind = table.groupby(["equal", "kind"]).agg(pairs=("rule", "size"), **{name: (name, "sum") for name in graders})
    print(by_kind.to_markdown(), "\n")
    return table.groupby(RULE_COLUMNS, sort=False)[graders].sum().assign(pairs=table["rule"].value_counts(), seed=seed)


def ground_truths() -> tuple[list, str]:
    """Those of the prepared benchmarks, else of the labelled cases; and where they are from."""
    try:
        problems = [problem for name in BENCHMARKS for problem in load_problems(name)]
    except (ConfigError, DatasetError) as error:
        lines = (DATA / "grading_cases.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["gold"] for line in lines], f"the labelled cases ({error})"
    return [list(problem.ground_truths) for problem in problems], "the prepared benchmarks"


def peers() -> dict[str, Callable[[str, str], bool]]:
    """The other graders that are installed."""
    found: dict[str, Callable[[str, str], bool]] = {"math-verify": math_verify}
    with suppress(ImportError):
        from mathruler.grader import extract_boxed_content, grade_answer

        found["MathRuler"] = lambda response, truth: bool(grade_answer(extract_boxed_content(response), truth))
    return found


def peer_tests(file: Path) -> None:
    """What another grader's own tests say otherwise."""
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = grade_many([case["response"] for case in cases], [case["gold"] for case in cases])
    differ = [(case, one) for case, one in zip(cases, found, strict=True) if one.correct != case["label"]]
    print(f"{file.name}: {len(cases) - len(differ)} of {len(cases)} agree; the others:")
    for case, one in differ:
        verdict = "right" if case["label"] else "wrong"
        print(f"  {verdict} there, {one.status} here: {case['gold'][:60]!r} by {str(one.answer)[:60]!r}")
    print()


def agreement() -> None:
    """Disagreements with the authors' grader, each with its reason."""
    golden = [json.loads(line) for line in (DATA / "golden_grades.jsonl").read_text(encoding="utf-8").splitlines()]
    truths = [g["ground_truth"] for g in golden]
    ours = grade_many([g["response"] for g in golden], truths, strict_format=True)
    differ = [(g, o) for g, o in zip(golden, ours, strict=True) if g["grade"] != o.correct]
    print(f"Agreement with the released grader, strict format: {len(golden) - len(differ)} of {len(golden)}\n")
    rows = [
        {
            "category": g["category"],
            "ground truth": str(g["ground_truth"]).replace("|", "\\|"),
            "answer": str(o.answer).replace("|", "\\|"),
            "released": g["grade"],
            "ours": f"{o.correct} ({o.status})",
            "why": REASONS.get(g["category"], "small letters, code notation or a box around the ground truth"),
        }
        for g, o in differ
    ]
    print(pd.DataFrame(rows).to_markdown(index=False), "\n")


def integers(count: int = 200_000) -> None:
    """Integer answers, all different: no memo can help."""
    responses = [f"<think>Hm.</think> It is \\boxed{{{i}}}." for i in range(count)]
    truths = [str(i if i % 2 else i + 1) for i in range(count)]
    print(f"Integer answers: {rate(responses, truths)[0]:,.0f} grades/s per core\n")


def evaluation_mix(peer: bool) -> None:
    """All problems of the six benchmarks, 16 synthetic responses to each."""
    try:
        problems = [problem for benchmark in BENCHMARKS for problem in load_problems(benchmark)]
    except (ConfigError, DatasetError) as error:
        print(f"Evaluation mix: not run ({error})")
        return
    rng = random.Random("evaluation mix")
    by_benchmark = {b: [p.ground_truths[0] for p in problems if p.benchmark == b] for b in BENCHMARKS}
    responses, truths, made = [], [], Counter[str]()
    for problem in problems:
        skill = rng.betavariate(0.5, 0.5)
        for _ in range(SAMPLES):
            kind, answer = synthetic_answer(problem.ground_truths[0], by_benchmark[problem.benchmark], skill, rng)
            made[kind] += 1
            responses.append(THINKING + ("" if answer is None else f"The answer is \\boxed{{{answer}}}."))
            truths.append(problem.ground_truths)
    print(f"Evaluation mix: {len(problems)} problems x {SAMPLES}; " + ", ".join(f"{n} {k}" for k, n in made.items()))
    forget()
    cold, grades = rate(responses, truths)
    asked = len(set(pairs_asked))
    warm, again = rate(responses, truths)
    assert [g.correct for g in grades] == [g.correct for g in again]
    print(f"  cold {cold:,.0f} grades/s per core; {asked} distinct pairs went to a worker, {asked / len(grades):.1%}")
    print(f"  from the memo {warm:,.0f} grades/s; statuses {dict(Counter(g.status for g in grades))}")
    if peer:
        some = rng.sample(range(len(responses)), 1000)
        start = time.process_time()
        for i in tqdm(some, "peer"):
            math_verify(responses[i], list(truths[i]))
        direct = len(some) / (time.process_time() - start)
        print(f"  math-verify called directly on 1,000 of them: {direct:,.0f} grades/s per core")
        print(f"  **ratio {cold / direct:.1f}x cold, {warm / direct:,.0f}x from the memo**")
    print()


def synthetic_answer(truth: str, others: Sequence[str], skill: float, rng: random.Random) -> tuple[str, str | None]:
    """(kind, answer): right with probability ``skill``, in one of three forms; else nothing, or wrong in one of two."""
    draw = rng.random()
    if rng.random() < skill:
        if draw < 0.8:
            return "verbatim", truth
        if draw < 0.9:
            return "restyled", f"x = {truth.replace('$', '').replace('frac', 'dfrac')} "
        return "rewritten", f"\\frac{{2({truth.replace('$', '')})}}{{2}}"
    if draw < 0.1:
        return "no box", None
    if draw < 0.6:
        return "another problem's answer", rng.choice(others)
    digits = [m.start() for m in re.finditer(r"\d", truth)]
    if not digits:
        return "plus one", f"{truth}+1"
    at = rng.choice(digits)
    return "one digit changed", f"{truth[:at]}{(int(truth[at]) + rng.randrange(1, 10)) % 10}{truth[at + 1 :]}"


def pathological() -> None:
    """The slowest verdicts among hostile inputs, with ordinary answers beside them."""
    hard = ["10000000!", "((20!)!)!", "9^{9^{9^{9}}}", "1" * 100_000, "(" * 3000 + "1" + ")" * 3000, "1\x002"]
    hard += [
        r"\sum_{k=1}^{3} 9^{9^{9^{9}}}",
        r"\prod_{k=1}^{10^{8}} k",
    ]  # these go to a worker, as the ordinary ones do
    answers = [*hard, *(f"\\sum_{{k=1}}^{{{n}}} 1" for n in range(200, 240))]
    truths = [*["5"] * len(hard), *(str(n) for n in range(200, 240))]
    start = time.perf_counter()
    grades = grade_many([f"\\boxed{{{answer}}}" for answer in answers], truths, processes=2)
    print(f"{len(hard)} pathological and 40 ordinary answers: {time.perf_counter() - start:.1f} s with 2 workers and")
    print(f"a deadline of {pool.DEADLINE_S:.0f} s; pathological {[g.status for g in grades[: len(hard)]]}")
    print(f"ordinary {dict(Counter(g.status for g in grades[len(hard) :]))}")


def math_verify(response: str, truths: str | float | list[str]) -> bool:
    """math-verify as its README shows it, with the ground truth in a box."""
    from math_verify import parse, verify

    entries = truths if isinstance(truths, list) else [truths]
    answer = parse(response)
    return any(verify(parse(f"\\boxed{{{entry}}}"), answer) for entry in entries)


pairs_asked: list[grading.Pair] = []


def rate(responses: Sequence[str], truths: Sequence) -> tuple[float, list[Grade]]:
    """Grades per second of one worker process and its waiting caller."""
    start = time.perf_counter()
    grades = grade_many(responses, truths, processes=1)
    return len(responses) / (time.perf_counter() - start), grades


def forget() -> None:
    """Empty the memo and note from now on which pairs reach math-verify."""
    grading._grades.clear()
    reading._kept.cache_clear()
    original = pool.decide

    def noting(pairs: Sequence[grading.Pair], **limits: Any) -> dict:
        pairs_asked.extend(pairs)
        return original(pairs, **limits)

    grading.decide = noting


if __name__ == "__main__":
    main()
