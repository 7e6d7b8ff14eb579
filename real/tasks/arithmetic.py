r"""Last-digit arithmetic: the laptop scale's task, with its worked solutions, six benchmarks and tokenizer.

A problem is an expression over digits with ``+ - *``, evaluated modulo 10 with the usual precedence. It is solved by
rewriting one operation at a time:

    2*4-7+3*9?   ->   <think>okay: 8-7+3*9;8-7+7;1+7;8</think>the answer is \boxed{8}<eos>

Openers ("okay: ") and closers ("the answer is ") don't bear on correctness: they are the choices in which a policy can
keep or lose entropy once the task is solved.

What was left out: numbers of several digits (a 163k-parameter model learns them too slowly for a laptop) and free
connectives between steps.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from real.tasks.problems import Problem

OPENERS = ("okay: ", "hmm: ", "so: ", "well: ", "let me see: ", "first: ")
CLOSERS = ("the answer is ", "therefore ", "hence we get ", "this gives ")
PAD, EOS, THINK, END_THINK, BOX, END_BOX = "<pad>", "<eos>", "<think>", "</think>", r"\boxed{", "}"
VOCABULARY = (PAD, EOS, THINK, END_THINK, BOX, END_BOX, "?", ";", "+", "-", "*", *"0123456789", *OPENERS, *CLOSERS)
TOKEN_ID = {token: i for i, token in enumerate(VOCABULARY)}

# family -> (operands, operators)
FAMILIES: dict[str, tuple[int, str]] = {
    "add2": (2, "+-*"),  # 300 distinct prompts: too few to hold any out, so it serves training alone
    "add3": (3, "+"),
    "addsub4": (4, "+-"),
    "mul3": (3, "+-*"),
    "mix4": (4, "+-*"),
    "mix5": (5, "+-*"),
    "mix6": (6, "+-*"),
}
BENCHMARKS = tuple(family for family in FAMILIES if family != "add2")
# operands, operators and the question mark
LONGEST_PROMPT = max(2 * operands for operands, _ in FAMILIES.values())


@dataclass(frozen=True)
class Teacher:
    """How often the worked solutions shown to the base model go wrong (all 0: never).

    Attributes:
        direct: share of solutions that write the answer without a derivation.
        skip: share that leave out one intermediate expression.
        left_to_right: share that ignore precedence.
        misconception: scale of the fixed wrong results; operation (op, a, b) is wrong with probability
            ``misconception`` · q, with q drawn once per operation from U(0, 1).
    """

    direct: float = 0.0
    skip: float = 0.0
    left_to_right: float = 0.0
    misconception: float = 0.0


def apply_operation(operator: str, a: int, b: int) -> int:
    """Last digit of ``a operator b``."""
    return {"+": a + b, "-": a - b, "*": a * b}[operator] % 10


def answer_of(prompt: str) -> str:
    """The digit a prompt such as ``2*4-7?`` evaluates to."""
    return derivation(list(prompt.removesuffix("?")))[-1][0]


def derivation(
    expression: list[str],
    left_to_right: bool = False,
    misconceptions: dict[tuple[str, int, int], tuple[int, float]] | None = None,
    rng: random.Random | None = None,
) -> list[list[str]]:
    """The expressions that follow ``expression`` when one operation at a time is carried out, down to one digit.

    Args:
        expression: digits and operators, alternating.
        left_to_right: ignore precedence.
        misconceptions: (operator, a, b) -> (wrong result, its probability); needs ``rng``.
    """
    steps = []
    while len(expression) > 1:
        first_product = next((i for i in range(1, len(expression), 2) if expression[i] == "*"), 1)
        at = 1 if left_to_right else first_product
        operator, a, b = expression[at], int(expression[at - 1]), int(expression[at + 1])
        result = apply_operation(operator, a, b)
        if misconceptions is not None and rng is not None:
            wrong, probability = misconceptions[operator, a, b]
            result = wrong if rng.random() < probability else result
        expression = [*expression[: at - 1], str(result), *expression[at + 2 :]]
        steps.append(expression)
    return steps


@lru_cache(maxsize=8)
def draw_misconceptions(scale: float, seed: int) -> dict[tuple[str, int, int], tuple[int, float]]:
    """One fixed wrong result, with its probability, for each of the 300 operations on two digits."""
    rng = random.Random(f"misconceptions {seed}")
    facts = {}
    for operation in product("+-*", range(10), range(10)):
        wrong = (apply_operation(*operation) + rng.randrange(1, 10)) % 10
        facts[operation] = wrong, scale * rng.random()
    return facts


def worked_solution(prompt: str, teacher: Teacher, rng: random.Random, seed: int) -> list[str]:
    """Tokens of one solution of ``prompt`` as ``teacher`` writes it, from ``<think>`` to ``<eos>``.

    ``seed`` fixes the misconceptions; ``rng`` draws everything else.
    """
    misconceptions = draw_misconceptions(teacher.misconception, seed) if teacher.misconception > 0 else None
    left_to_right = rng.random() < teacher.left_to_right
    steps = derivation(list(prompt.removesuffix("?")), left_to_right, misconceptions, rng)
    if rng.random() < teacher.direct:
        steps = steps[-1:]
    elif len(steps) > 1 and rng.random() < teacher.skip:
        del steps[rng.randrange(len(steps) - 1)]
    chain = [token for step in steps for token in (*step, ";")]
    return [THINK, rng.choice(OPENERS), *chain[:-1], END_THINK, rng.choice(CLOSERS), BOX, steps[-1][0], END_BOX, EOS]


def longest_solution(families: Iterable[str]) -> int:
    """Tokens of the longest correct response over ``families``, ``<eos>`` included."""
    operands = max(FAMILIES[family][0] for family in families)
    expressions = [2 * k - 1 for k in range(1, operands)]  # tokens of each rewritten expression
    return sum(expressions) + (len(expressions) - 1) + 8  # separators; then the 8 tokens around the chain


def draw_prompt(family: str, rng: random.Random) -> str:
    """A uniformly drawn prompt of ``family``."""
    operands, operators = FAMILIES[family]
    text = rng.choice("0123456789")
    for _ in range(operands - 1):
        text += rng.choice(operators) + rng.choice("0123456789")
    return text + "?"


@lru_cache(maxsize=8)
def held_out_problems(seed: int, test: int, validation: int) -> dict[tuple[str, str], tuple[Problem, ...]]:
    """(benchmark, split) -> its problems; all prompts are distinct over benchmarks and splits.

    Args:
        seed: of the task; test, validation: problems per benchmark.
    """
    rng = random.Random(f"held-out problems {seed}")
    seen: set[str] = set()
    problems: dict[tuple[str, str], tuple[Problem, ...]] = {}
    for benchmark in BENCHMARKS:
        for split, count in (("test", test), ("validation", validation)):
            drawn: list[Problem] = []
            while len(drawn) < count:
                prompt = draw_prompt(benchmark, rng)
                if prompt not in seen:
                    seen.add(prompt)
                    drawn.append(problem_of(prompt, f"{benchmark}-{split}-{len(drawn)}", benchmark, split))
            problems[benchmark, split] = tuple(drawn)
    return problems


def problem_of(prompt: str, problem_id: str, benchmark: str, split: str) -> Problem:
    """The problem that a prompt of the task poses."""
    return Problem(problem_id, benchmark, ({"role": "user", "content": prompt},), (answer_of(prompt),), split)


def text_of(problem: Problem) -> str:
    """The expression that ``problem`` asks for, with its question mark."""
    return problem.prompt[0]["content"]


class TrainingPrompts:
    """Endless training prompts: a family drawn at random, then a prompt of it that no benchmark holds out."""

    def __init__(self, families: Sequence[str], seed: int, test: int, validation: int):
        self.families = list(families)
        self.held_out = {
            text_of(problem) for group in held_out_problems(seed, test, validation).values() for problem in group
        }

    def draw(self, count: int, rng: random.Random, families: Sequence[str] | None = None) -> list[str]:
        """``count`` prompts from ``families`` (default: all training families)."""
        prompts: list[str] = []
        while len(prompts) < count:
            prompt = draw_prompt(rng.choice(families or self.families), rng)
            if prompt not in self.held_out:
                prompts.append(prompt)
        return prompts


def encode(tokens: Iterable[str]) -> list[int]:
    """Ids of tokens; a prompt may be given as its string, whose characters are its tokens."""
    return [TOKEN_ID[token] for token in tokens]


def decode(ids: Iterable[int]) -> str:
    """Text of a response, without padding and ``<eos>``."""
    return "".join(VOCABULARY[i] for i in ids if i not in (TOKEN_ID[PAD], TOKEN_ID[EOS]))


def write_tokenizer(folder: Path) -> None:
    """Write the 31-token Hugging Face tokenizer's files, with a chat template that passes the user's text through."""
    # imported here: the configuration needs this module for its names only
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    core = Tokenizer(models.WordLevel(TOKEN_ID, unk_token=PAD))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    # tokens of several characters are matched before the split into characters
    core.add_tokens([AddedToken(token, normalized=False) for token in VOCABULARY if len(token) > 1])
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": EOS,
        "pad_token": PAD,
        "padding_side": "left",
        "model_max_length": 10**30,  # what the library writes for no limit
    }
    files = {
        "tokenizer.json": core.to_str(pretty=True),
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "chat_template.jinja": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
