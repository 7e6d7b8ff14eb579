"""Which loss of verl trains which objective; imports nothing of verl."""

# registered with verl by losses.py
SURROGATE = "real_surrogate"
# real.config.paper_scale.VERL_OBJECTIVES -> (verl's policy loss, how it is averaged, which is as in real.objectives)
OWN_LOSSES = {
    "grpo": ("vanilla", "seq-mean-token-mean"),
    "dapo": ("vanilla", "token-mean"),
    "gspo": ("gspo", "seq-mean-token-mean"),
}


def loss_of(objective: str) -> tuple[str, str]:
    """verl's policy loss for an objective, and how it is averaged: verl's own, else the surrogate of exact weights."""
    return OWN_LOSSES.get(objective, (SURROGATE, "token-mean"))
