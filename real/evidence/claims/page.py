"""The claims table as one self-contained HTML page."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from jinja2 import Environment, StrictUndefined

from real.statistics import power
from real.statistics.intervals import Interval

# of the table itself, here and in the report
STYLE = """.claims{border-collapse:collapse;width:100%;min-width:75em;font-size:14px;line-height:1.45}
.claims th,.claims td{padding:.45em .7em;text-align:left;vertical-align:top;white-space:normal}
.claims th,.claims td{border-bottom:1px solid #ddd}
.claims thead th{border-bottom:2px solid #222}
.claims tr.group th{background:#f3f3f3;font-weight:600}
.claims td:last-child{min-width:13em}.claims td:nth-last-child(2){min-width:24em}
.claims td.number{white-space:nowrap;font-variant-numeric:tabular-nums}
.claims small{color:#666;display:block;white-space:normal}
.claims code{font-size:12px;overflow-wrap:normal}
.claims tr.analogue td:first-child{padding-left:2em}
.verdict{font-weight:600;padding:.1em .5em;border-radius:.3em;white-space:nowrap}
.reproduced{background:#d8f0dc;color:#14532d}.contradicted{background:#fbdcdc;color:#7f1d1d}
.unresolved{background:#fdf0cc;color:#713f12}.not-run{background:#e8e8e8;color:#444}
"""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Claims at {{ heading.experiment }} scale</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;padding:0 1em;max-width:100em;color:#222}
.box{overflow-x:auto}
{{ style | safe }}</style>
<h1>Claims at {{ heading.experiment }} scale</h1>
<p>Evidence: {{ heading.evidence }}.
{%- if heading.seeds %} Seeds {{ heading.seeds | join(", ") }}; {{ heading.samples }} samples per problem;
benchmarks {{ heading.benchmarks | join(", ") }}.{% endif %}
{{ summary }}{% if heading.code %} {{ heading.code }}{% endif %}</p>
<main>
<div class="box" role="region" tabindex="0" aria-label="claims">
<table class="claims"><thead><tr>
<th>claim</th><th>published</th><th>ours at this scale</th><th>95 % interval</th><th>verdict</th>
{%- if resolves %}<th>what the paper's own numbers resolve</th>{% endif %}
<th>how to run it</th><th>cost</th></tr></thead><tbody>
{%- for backbone, members in groups %}
<tr class="group"><th colspan="{{ 8 if resolves else 7 }}">{{ backbone }}</th></tr>
{%- for row in members %}
<tr class="{{ row.kind }}"><td>{{ row.statement }}<small>{{ row.source }}; confirmed by: {{ row | region }}</small>
{%- if row.note %}<small>{{ row.note }}</small>{% endif %}</td>
<td class="number">{{ row.published | amount(row.unit) }}</td>
{%- if row.interval %}
<td class="number">{{ row.interval.value | amount(row.unit) }}</td>
<td class="number">{{ row.interval | ends(row.unit) }}<small>{{ row.interval.covers }}</small></td>
{%- else %}<td>–</td><td>–</td>{% endif %}
<td><span class="verdict {{ row.verdict | replace(" ", "-") }}">{{ row.verdict }}</span>
{%- if row.reason %}<small>{{ row.reason }}</small>{% endif %}</td>
{%- if resolves %}<td>{{ row | resolves }}</td>{% endif %}
<td><code>{{ row.command }}</code></td><td>{{ row.cost }}</td></tr>
{%- endfor %}{% endfor %}
</tbody></table>
</div>
<p>A claim is reproduced if the 95 % interval of its measure lies inside the region that confirms it, contradicted if
the interval lies wholly outside, else unresolved. A claim is judged by data of its own scale alone, trained as that
scale's file says; analogue rows judge the statement at this scale and neither support nor refute the paper's claim at
its own. Each interval stands alone: among many, one in twenty misses. How the intervals are made and what they cover:
docs/statistics.md.</p>
{%- if resolves %}
<p>What the paper's own numbers resolve: difference of the printed scores, its standard error for these very problems /
with problems resampled, and z for these problems / resampled / resampled with a run-to-run deviation of
{{ deviations }} points. Resolved: |z| stays above 1.96 throughout; suggestive: only without run-to-run deviation; else
not resolvable. 80 % power: samples per problem (in all, over the seeds) and seeds per method that resolve the
difference on these problems, for the same deviations. Assumptions: 16 samples; rates of problems from a beta
distribution with concentration ν = {{ concentration }}; methods' rates of one problem joined by a Gaussian copula with
ρ = {{ correlation }}; run-to-run deviations are assumed, since nobody publishes them, and are those of the mean of the
benchmarks (a single benchmark's is larger).</p>{% endif %}
<p>Estimates of cost: {% for label, source in estimates.items() %}{{ label }}: {{ source }}. {% endfor %}
One run is one method with one seed.</p>
</main>
</html>
"""


def page(heading: Mapping[str, Any], rows: Sequence[Any], estimates: Mapping[str, str]) -> str:
    """The page.

    Args:
        heading: experiment, evidence and, where trained, seeds, samples, benchmarks.
        rows: of :class:`real.evidence.claims.judge.ClaimRow`, in order; estimates: where each scale's cost comes from.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"amount": amount, "ends": ends, "region": _region, "resolves": _resolves}
    counts = {word: sum(row.verdict == word for row in rows) for word in dict.fromkeys(row.verdict for row in rows)}
    deviations = [f"{100 * deviation:.1f}" for deviation in power.RUN_DEVIATIONS if deviation > 0]
    return environment.from_string(PAGE).render(
        heading={"seeds": None, "code": None, **heading},
        style=STYLE,
        groups=[(name, list(members)) for name, members in groupby(rows, lambda row: row.backbone)],
        estimates=estimates,
        summary=f"Rows: {', '.join(f'{count} {word}' for word, count in counts.items())}.",
        resolves=any(row.resolution for row in rows),
        deviations=" / ".join(deviations),
        concentration=f"{power.CONCENTRATION:g}",
        correlation=f"{power.CORRELATION:g}",
    )


def amount(value: float | None, unit: str) -> str:
    """A value in its unit; a dash where there is none."""
    if value is None:
        return "–"
    if unit == "points":
        return f"{100 * value:+.1f} points"
    return {"ratio": f"× {value:.3f}", "prompts": f"{value:+.1f} prompts", "plain": f"{value:.3f}"}[unit]


def ends(interval: Interval, unit: str) -> str:
    """Both ends of an interval."""
    if math.isinf(interval.low):
        return "none"
    scale, form = {"points": (100, "+.1f"), "prompts": (1, "+.1f")}.get(unit, (1, ".3f"))
    return f"[{scale * interval.low:{form}}, {scale * interval.high:{form}}]"


def _region(row: Any) -> str:
    above, below = row.region
    parts = [f"above {above:g}"] if above is not None else []
    return " and ".join([*parts, f"below {below:g}"] if below is not None else parts)


def _resolves(row: Any) -> str:
    found = row.resolution
    if found is None:
        return "exact" if row.kind == "mathematics" else "one run is drawn; its run-to-run spread is not published"
    z = " / ".join(f"{value:.1f}" for value in (found.z_fixed, *found.z_runs))
    needs = f"; 80 % power: {found.samples} samples, {' / '.join(map(str, found.seeds))} seeds" if found.seeds else ""
    return (
        f"{found.word}: {100 * found.difference:+.1f} points, se {100 * found.se_fixed:.2f} / "
        f"{100 * found.se_paired:.2f}, z {z}{needs}"
    )
