"""What a scale's plan can confirm, as lines below the table of its costs (``python -m real plan``)."""

from collections.abc import Iterator

from real.config import Experiment
from real.evidence.claims.places import claim_power
from real.evidence.claims.plans import CAN_CONFIRM, Power
from real.evidence.claims.schema import load_claims
from real.planning.plan import plan
from real.planning.text import plain
from real.statistics.planned import FEWEST_SEEDS
from real.statistics.power import POWER


def confirms_text(experiment: Experiment) -> str:
    """Power of the scale's claims with its seeds, and the cost of one seed and of the fewest that can confirm them.

    Returns:
        empty where no claim is about the scale.
    """
    content, seeds = load_claims(), len(experiment.scale.run_seeds)
    scale = experiment.scale.scale
    # `planned` rows belong to experiments of their own
    claims = {name: claim for name, claim in content.claims.items() if claim.scale == scale and not claim.planned}
    powers = {name: found for name in claims if (found := claim_power(content, name, experiment.scale))}
    if not powers:
        return ""
    primary = {name: found for name, found in powers.items() if claims[name].primary}
    heading = "What this plan can confirm, if the published values are true:"
    return "\n".join(["", heading, *_rows(powers, primary), *_costs(experiment, seeds, primary)])


def _rows(powers: dict[str, Power], primary: dict[str, Power]) -> Iterator[str]:
    others = {name: one for name, one in powers.items() if name not in primary}
    for title, found in (("primary, at Holm's first step", primary), ("descriptive", others)):
        known = ", ".join(f"{name} {one.chance:.2f}" for name, one in found.items() if one.chance is not None)
        if known:
            yield f"  power, {title}: {known}"
    if weak := [name for name, one in powers.items() if one.too_low]:
        yield f"  below {CAN_CONFIRM:g}, counted nowhere: {', '.join(weak)}"
    if open_ := [name for name, one in powers.items() if one.tolerated is not None]:
        yield f"  power not known, nobody has measured how runs differ: {', '.join(open_)}"


def _costs(experiment: Experiment, seeds: int, primary: dict[str, Power]) -> Iterator[str]:
    needed = [one.needed for one in primary.values()]
    enough = max((count for count in needed if count), default=None) if all(needed) else None
    for count in sorted({1, seeds, enough or seeds}):
        said = "no verdict on a method" if count < FEWEST_SEEDS else "verdicts on methods"
        if count == enough:
            said = f"the fewest with power {POWER:g} in every primary row"
        hours = plan(_with_seeds(experiment, count)).device_hours
        yield f"  {count} seed{'s' if count > 1 else ''}: {plain(hours) if hours else 'unknown'} device-hours, {said}"


def _with_seeds(experiment: Experiment, count: int) -> Experiment:
    scale = experiment.trained.model_copy(update={"seeds": list(range(count))})
    return experiment.model_copy(update={"scale": scale, "place": "as_if_nothing_were_done"})
