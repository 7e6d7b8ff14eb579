"""What should make somebody look at a training run: sentences for the log, each naming the step and the value.

    alarms = Alarms()
    alarms.replay(lines_before_a_resume)
    for sentence in alarms.see(line, truncated_fraction=0.07, mismatch=2.1e-4):
        print(sentence)

An alarm speaks when it starts and when it is over, not in between. It is over once its cause was absent for CALM_STEPS
measured steps in a row, so that a value that hovers at its threshold doesn't fill the log. No alarm stops a run.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

ENTROPY_COLLAPSE = 0.25
ENTROPY_EXPLOSION = 2.0
"""Shares of the run's first measured entropy. Chosen between the digitised curves of the paper's Figure 4, as for its
claims (paper_configs/claims.yaml): GRPO ends at 0.09 of its start, REAL and GSPO at 1.1, DAPO beyond 2.1."""

TRUNCATED = 0.5
"""Share of responses that the limit cut. Our choice: from half on, most rewards say how long a response was rather than
whether it was right. A healthy 8k run has 0.04 to 0.07 (rllm issue 33)."""

MISMATCH = 5e-4
"""KL divergence between sampler and trainer: the bound of prime-rl's and NeMo-RL's nightly runs."""

CALM_STEPS = 5
"""Our choice: short against a run of 80 to 1,400 steps."""


class Alarms:
    """The state of one run's alarms; a function of the figures seen so far, in order."""

    def __init__(self) -> None:
        self._entropy: tuple[int, float] | None = None
        # alarm -> measured steps in a row without its cause
        self._calm: dict[str, int] = {}

    def see(
        self, line: Mapping[str, Any], truncated_fraction: float | None = None, mismatch: float | None = None
    ) -> list[str]:
        """What there is to say after a step: alarms that start, alarms that are over.

        Args:
            line: of metrics.jsonl; null values, as in line 0, are not judged.
            truncated_fraction: share of the step's responses that ended at the limit; default: ``line``'s value of that
                name, if any.
            mismatch: estimate of the KL divergence of the trainer's policy from the sampler's, mean over response
                tokens of exp(d) - d - 1 with d = trainer's log-prob - sampler's; default: ``line``'s, if any.
        """
        truncated = line.get("truncated_fraction") if truncated_fraction is None else truncated_fraction
        mismatch = line.get("mismatch") if mismatch is None else mismatch
        causes = {**self._entropy_causes(line), **_one_sided(line), **_truncated(truncated), **_mismatch(mismatch)}
        said = [self._update(name, f"step {line['step']}", *cause) for name, cause in causes.items()]
        return [sentence for sentence in said if sentence]

    def replay(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take the state after past lines, silently.

        Lines of metrics.jsonl hold neither ``truncated_fraction`` nor ``mismatch``: where they were stored elsewhere,
        add them under these names; otherwise their alarms, if still on, are raised once more.
        """
        for line in lines:
            self.see(line)

    def _entropy_causes(self, line: Mapping[str, Any]) -> dict[str, tuple[bool, str, str]]:
        entropy = line.get("entropy")
        if entropy is None:
            return {}
        if self._entropy is None and math.isfinite(entropy):
            self._entropy = (line["step"], entropy)
        if self._entropy is None:
            return {"entropy not finite": (True, f"entropy is {entropy}", "")}
        at, first = self._entropy
        share = (
            f"{entropy:.4g} nats, {entropy / first:.2f} of step {at}'s {first:.4g}" if first else f"{entropy:.4g} nats"
        )
        return {
            "entropy not finite": (not math.isfinite(entropy), f"entropy is {entropy}", f"entropy is {share}"),
            "entropy collapse": (
                entropy < ENTROPY_COLLAPSE * first,
                f"entropy has collapsed to {share}",
                f"entropy is {share}",
            ),
            "entropy explosion": (
                entropy > ENTROPY_EXPLOSION * first,
                f"entropy has exploded to {share}",
                f"entropy is {share}",
            ),
        }

    def _update(self, name: str, step: str, present: bool, start: str, end: str) -> str | None:
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


def _one_sided(line: Mapping[str, Any]) -> dict[str, tuple[bool, str, str]]:
    solve_all, solve_none, prompts = (line.get(key) for key in ("solve_all", "solve_none", "prompts"))
    if solve_all is None or solve_none is None or prompts is None:
        return {}
    return {
        "one-sided": (
            solve_all + solve_none == prompts,
            f"all {prompts} groups are one-sided ({solve_all} all correct, {solve_none} all wrong): nothing is learnt",
            f"{prompts - solve_all - solve_none} of {prompts} groups are two-sided",
        )
    }


def _truncated(fraction: float | None) -> dict[str, tuple[bool, str, str]]:
    if fraction is None:
        return {}
    share = f"{fraction:.1%} of the responses end at the limit (training.max_response_tokens)"
    return {"truncated": (fraction >= TRUNCATED, share, share)}


def _mismatch(divergence: float | None) -> dict[str, tuple[bool, str, str]]:
    if divergence is None:
        return {}
    value = f"the sampler's and the trainer's log-probs differ by a KL divergence of {divergence:.2g}"
    # not <=: a value that is no number is an alarm too
    return {"mismatch": (not divergence <= MISMATCH, f"{value}, above {MISMATCH:g}", value)}
