"""The laptop task: answers, splits, solutions and tokenizer, and that the grader reads its answers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from real.grading import Grade, grade
from real.models.tokenizer import LibraryTokenizer, read_whole
from real.tasks.arithmetic import (
    BENCHMARKS,
    CLOSERS,
    EOS,
    FAMILIES,
    OPENERS,
    TOKEN_ID,
    VOCABULARY,
    Teacher,
    TrainingPrompts,
    answer_of,
    decode,
    draw_prompt,
    encode,
    held_out_problems,
    longest_solution,
    text_of,
    worked_solution,
    write_tokenizer,
)

families = st.sampled_from(list(FAMILIES))
seeds = st.integers(0, 10_000)


@given(family=families, seed=seeds)
def test_answer_is_the_last_digit_of_the_expression(family, seed):
    prompt = draw_prompt(family, random.Random(seed))
    assert answer_of(prompt) == str(eval(prompt.removesuffix("?")) % 10)


def test_the_documented_derivation():
    tokens = worked_solution("2*4-7+3*9?", Teacher(), random.Random(0), seed=0)
    text = "".join(tokens)
    assert text.split(": ")[1].startswith("8-7+3*9;8-7+7;1+7;8</think>")
    assert text.endswith(r"\boxed{8}<eos>")


@given(family=families, seed=seeds)
def test_a_faultless_teacher_is_graded_correct(family, seed):
    rng = random.Random(seed)
    prompt = draw_prompt(family, rng)
    response = decode(encode(worked_solution(prompt, Teacher(), rng, seed=0)))
    assert grade(response, answer_of(prompt), strict_format=True) == Grade(True, answer_of(prompt), "exact")


@given(family=families, seed=seeds)
def test_no_solution_is_longer_than_the_longest(family, seed):
    rng = random.Random(seed)
    solution = worked_solution(draw_prompt(family, rng), Teacher(), rng, seed=0)
    operands = FAMILIES[family][0]
    assert len(solution) == longest_solution([family])
    assert operands < 6 or len(solution) == 37


def test_a_weak_teacher_errs_about_as_often_as_asked():
    rng = random.Random(0)
    prompts = [draw_prompt("mix4", rng) for _ in range(2000)]
    direct = [len(worked_solution(p, Teacher(direct=0.3), rng, 0)) == 9 for p in prompts]
    assert 0.25 < sum(direct) / len(direct) < 0.35
    skipped = [len(worked_solution(p, Teacher(skip=0.3), rng, 0)) < longest_solution(["mix4"]) for p in prompts]
    assert 0.25 < sum(skipped) / len(skipped) < 0.35
    wrong = [
        not grade(decode(encode(worked_solution(p, Teacher(misconception=1.0), rng, 0))), answer_of(p)).correct
        for p in prompts
    ]
    assert 0.5 < sum(wrong) / len(wrong) < 0.95


def test_test_validation_and_training_prompts_are_disjoint():
    problems = held_out_problems(0, 100, 50)
    held_out = [text_of(problem) for group in problems.values() for problem in group]
    assert len(held_out) == len(set(held_out)) == len(BENCHMARKS) * 150
    training = TrainingPrompts(list(FAMILIES), 0, 100, 50).draw(20_000, random.Random(1))
    assert not set(held_out) & set(training)


def test_problems_are_functions_of_the_seed_alone():
    held_out_problems.cache_clear()
    first = held_out_problems(3, 20, 10)
    held_out_problems.cache_clear()
    assert first == held_out_problems(3, 20, 10)
    assert first != held_out_problems(4, 20, 10)
    assert {key[0] for key in first} == set(BENCHMARKS)
    identifiers = [problem.problem_id for group in first.values() for problem in group]
    assert len(identifiers) == len(set(identifiers))


@pytest.fixture(scope="module", params=["our reading", "transformers"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')  # transformers asks it for the kind of tokenizer
    return read_whole(folder) if request.param == "our reading" else LibraryTokenizer(str(folder), None, False)


@given(family=families, seed=seeds)
def test_the_hugging_face_tokenizer_agrees_with_our_token_lists(tokenizer, family, seed):
    rng = random.Random(seed)
    prompt = draw_prompt(family, rng)
    solution = worked_solution(prompt, Teacher(direct=0.2, skip=0.2), rng, seed=0)
    ids = encode(prompt) + encode(solution)
    assert tokenizer.encode(prompt + "".join(solution)) == ids
    assert tokenizer.decode(ids) == prompt + "".join(solution)
    assert tokenizer.write([{"role": "user", "content": prompt}], True) == prompt
    assert tokenizer.end == TOKEN_ID[EOS]


def test_vocabulary_has_31_distinct_tokens():
    assert len(set(VOCABULARY)) == len(VOCABULARY) == 31
    assert len(OPENERS) == 6
    assert len(CLOSERS) == 4


def test_problems_ask_in_one_user_message_and_state_their_answer():
    for (benchmark, split), group in held_out_problems(0, 5, 3).items():
        for problem in group:
            assert (problem.benchmark, problem.split) == (benchmark, split)
            assert problem.prompt == ({"role": "user", "content": text_of(problem)},)
            assert problem.ground_truths == (answer_of(text_of(problem)),)
