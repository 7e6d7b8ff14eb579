"""What should make somebody look at a training run: sentences for the log, each naming the step and the value.

    alarms = Alarms(lines_before_a_resume)
    for sentence in alarms.see({**line, "truncated_fraction": 0.07, "mismatch": 2.1e-4}):
        print(sentence)

An alarm speaks when it starts and when it is over, not in between. It is over once its cause was absent for CALM_STEPS
measured steps in a row, so that a value that hovers at its threshold doesn't fill the log. No alarm stops a run.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

ENTROPY_COLLAPSE = 0.25
ENTROPY_EXPLOSION = 2.0
"""Shares of the run's first measured entropy. Chosen between the digitised curves of the paper's Figure 4, as for its
claims (paper_configs/claims.yaml): GRPO ends at 0.09 of its start, REAL and GSPO at 1.1, DAPO beyond 2.1."""

TRUNCATED = 0.5
"""Share of responses that the limit cut. Our choice: from half on, most rewards say how long a response was rather than
whether it was right. A healthy 8k run has 0.04 to 0.07 (rllm issue 33)."""

MISMATCH = 5e-4
"""KL divergence between sampler and trainer: the bound of prime-rl's and NeMo-RL's nightly runs, at temperature 1."""

CALM_STEPS = 5
"""Our choice: short against a run of 80 to 1,400 steps."""

# name, whether its cause is present, what to say if it starts and if it is over
Cause = tuple[str, bool, str, str]


class Alarms:
    """The state of one run's alarms; a function of the lines seen so far, in order."""

    def __init__(self, past: Iterable[Mapping[str, Any]] = (), mismatch: float = MISMATCH) -> None:
        """Take the state after past lines, silently; what they lack, and is still on, is raised once more.

        Args:
            mismatch: KL divergence between sampler and trainer above which there is an alarm.
        """
        self._mismatch = mismatch
        self._entropy: tuple[int, float] | None = None
        # alarm -> measured steps in a row without its cause
        self._calm: dict[str, int] = {}
        for line in past:
            self.see(line)

    def see(self, line: Mapping[str, Any]) -> list[str]:
        """What there is to say after a step: alarms that start, alarms that are over.

        Args:
            line: of metrics.jsonl, to which may be added ``truncated_fraction``, the share of the step's responses that
                ended at the limit, and ``mismatch``, an estimate of the KL divergence of the trainer's policy from the
                sampler's: mean over response tokens of exp(d) - d - 1 with d = trainer's log-prob - sampler's. What is
                null, as in line 0, or absent is not judged.
        """
        said = [self._update(f"step {line['step']}", *cause) for cause in self._causes(line)]
        return [sentence for sentence in said if sentence]

    def _causes(self, line: Mapping[str, Any]) -> Iterator[Cause]:
        if (entropy := line.get("entropy")) is not None:
            yield from self._entropy_causes(line["step"], entropy)
        if (prompts := line.get("prompts")) is not None:
            right, wrong = line["solve_all"], line["solve_none"]
            yield (
                "one-sided",
                right + wrong == prompts,
                f"all {prompts} groups are one-sided ({right} all correct, {wrong} all wrong): nothing is learnt",
                f"{prompts - right - wrong} of {prompts} groups are two-sided",
            )
        if (fraction := line.get("truncated_fraction")) is not None:
            share = f"{fraction:.1%} of the responses end at the limit (training.max_response_tokens)"
            yield "truncated", fraction >= TRUNCATED, share, share
        if (divergence := line.get("mismatch")) is not None:
            value = f"the sampler's and the trainer's log-probs differ by a KL divergence of {divergence:.2g}"
            # not <=: a value that is no number is an alarm too
            yield "mismatch", not divergence <= self._mismatch, f"{value}, above {self._mismatch:.2g}", value

    def _entropy_causes(self, step: int, entropy: float) -> Iterator[Cause]:
        if self._entropy is None and math.isfinite(entropy):
            self._entropy = (step, entropy)
        at, first = self._entropy or (step, 0.0)
        of_first = f", {entropy / first:.2f} of step {at}'s {first:.4g}" if first else ""
        share = f"{entropy:.4g} nats{of_first}"
        now = f"entropy is {share}"
        yield "entropy not finite", not math.isfinite(entropy), f"entropy is {entropy}", now
        if self._entropy is not None:
            yield "entropy collapse", entropy < ENTROPY_COLLAPSE * first, f"entropy has collapsed to {share}", now
            yield "entropy explosion", entropy > ENTROPY_EXPLOSION * first, f"entropy has exploded to {share}", now

    def _update(self, step: str, name: str, present: bool, start: str, end: str) -> str | None:
        """Count the step, and say so if the alarm starts or is over."""
        if present:
            starts = name not in self._calm
            self._calm[name] = 0
            return f"alarm, {step}: {start}" if starts else None
        if name not in self._calm:
            return None
        self._calm[name] += 1
        if self._calm[name] < CALM_STEPS:
            return None
        del self._calm[name]
        return f"alarm over, {step}: {end}"
