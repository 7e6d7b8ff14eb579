"""What slow kernels of the trainer add to a step: facts about steps are of runs that had fast ones."""

from dataclasses import dataclass

from real.config import Cluster, VerlScale, VerlTraining
from real.engines.verl.kernels import ATTENTIONS, masked_pack
from real.planning.costs import Amount, Costs, ModelFacts, lengths_of, mean_tokens, rollouts_per_step


@dataclass(frozen=True)
class Slow:
    """Wall seconds that one step takes longer.

    Attributes:
        mask: with a dense mask over packs of ``pack`` tokens (attention ``sdpa``).
        loop: with log-probs of logits, where flash-attn is missing (head ``logits``).
    """

    mask: Amount
    pack: int
    loop: Amount

    def of(self, cluster: Cluster) -> Amount:
        """What the configuration asks for itself."""
        asked = [
            *([self.mask] if cluster.attention == "sdpa" else []),
            *([self.loop] if cluster.head == "logits" else []),
        ]
        return sum(asked, Amount(0, 0))


def slow(training: VerlTraining, scale: VerlScale, facts: ModelFacts, costs: Costs) -> Slow:
    """What they add to a step, over the tokens of responses alone.

    Two passes count, as in any method: the log-probs of the policy that sampled, and the update, whose layers are run
    forward once more with gradient checkpointing. The mask's cost per token grows with the pack.
    """
    cluster, known = scale.cluster, costs.kernels
    tokens = rollouts_per_step(training, costs) * mean_tokens(training.max_response_tokens, lengths_of(facts, costs))
    each = tokens * (1 / cluster.gpus)
    longest = scale.data.max_prompt_tokens + training.max_response_tokens
    pack = cluster.micro_batch_tokens or training.micro_batch_rows * longest
    if cluster.attention == "auto":
        pack = masked_pack(pack, longest)
    forwards = 2 if cluster.gradient_checkpointing else 1
    layer = known.mask_forward.amount * forwards + known.mask_both.amount
    shape = facts.layers * facts.attention_width / known.pack_width
    return Slow(
        mask=each * layer * (shape * pack / known.pack_tokens**2),
        pack=pack,
        loop=each * (known.loop_forward.amount + known.loop_both.amount),
    )


def chosen(cluster: Cluster) -> str:
    """Which kernels a job takes, for a reader."""
    attention = cluster.attention if cluster.attention != "auto" else f"the first that runs of {', '.join(ATTENTIONS)}"
    return f"attention: {attention}; head: {'fused' if cluster.head == 'auto' else cluster.head}"
