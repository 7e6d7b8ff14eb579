"""``results/<scale>/report.html``: a scale's claims, tables, figures, costs and provenance, self-contained.

It shows what the rules of the scale have made and computes nothing anew: tables are those of their own pages, captions
those of workflow/report, which Snakemake's own report shows too.
"""

import base64
import math
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from real.config import Experiment
from real.evidence.claims.page import STYLE as CLAIMS_STYLE
from real.evidence.claims.page import amount, ends
from real.evidence.exhibit import Exhibit, evaluations_shown, methods_shown
from real.evidence.layout import TABLE_STYLE, html_tables
from real.evidence.report.facts import data_hashes, job_digests, origins, stage_times
from real.evidence.report.page import PAGE
from real.evidence.report.parts import Aside, asides, foreign_inputs, own_inputs
from real.evidence.training_curves import curve_ends
from real.records.jobs import trained_jobs
from real.statistics.intervals import Interval
from real.system.files import MAKE_AGAIN, DamagedError, read_csv, read_json, write_text
from real.tasks.sources import SOURCES_FILE

REPORT = "report"
CAPTIONS = Path("workflow/report")
PNG = b"\x89PNG\r\n\x1a\n"
EMBEDDED = re.compile(r"<h1>(?P<title>.*?)</h1>.*?<main>(?P<body>.*)</main>", re.S)
VERDICTS = ("reproduced", "contradicted", "unresolved", "not run")
RESOLUTIONS = ("resolved", "suggestive", "not resolvable")
LEVELS = {
    "claim": "The paper's claims, judged by data of their own scale alone",
    "mathematics": "The paper's mathematical claims, checked in this code",
    "analogue": "Analogues: statements about this scale's model, which neither support nor refute the paper's",
}

TIMES = (
    "Wall and CPU seconds are sums over a stage's jobs, which may have run beside each other. Base model, runs and "
    "evaluations are counted by their provenance.json: of a run that was resumed, the last process alone. Tables, "
    "claims and figures are counted by Snakemake's benchmark files, whose CPU time misses short processes. This page "
    "and the manifest are not counted."
)


def report_of(exhibits: Sequence[Exhibit]) -> Exhibit:
    """The declaration of the report on all other exhibits."""

    def make(experiment: Experiment, results: Path) -> None:
        write_report(experiment, results, exhibits)

    return Exhibit(
        name=REPORT,
        title="Report",
        doing="putting claims, tables and figures on one page",
        outputs=(f"{REPORT}.html",),
        make=make,
        reads=lambda experiment: own_inputs(experiment, exhibits),
        settings=lambda experiment: [methods_shown(experiment), *evaluations_shown(experiment)],
        printed=lambda _: [*map(str, sorted(CAPTIONS.glob("*.rst"))), str(SOURCES_FILE)],
        beside=lambda experiment: foreign_inputs(experiment, exhibits),
    )


def write_report(experiment: Experiment, folder: Path, exhibits: Sequence[Exhibit]) -> None:
    """Write ``report.html`` into the folder of a finished scale.

    Args:
        exhibits: what it shows, as far as the scale has it.

    Raises:
        FileNotFoundError: something that it shows is missing, with what to run.
        DamagedError: something that it shows is damaged.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    judged = read_json(_there(folder / "claims.json"), keys=("rows", "evidence"))
    had = [exhibit for exhibit in exhibits if not exhibit.absent(experiment)]
    shown = [(exhibit, Path(output)) for exhibit in had if not exhibit.command for output in exhibit.outputs]
    tables = [_table(folder / path) for _, path in shown if path.parts[0] == "tables" and path.suffix == ".html"]
    pictures = [_picture(experiment, exhibit, folder / path) for exhibit, path in shown if path.suffix == ".png"]
    jobs = [*trained_jobs(experiment), *(exhibit.job for exhibit in had)]
    made_from = {
        "What made the results": origins(experiment),
        "Data": data_hashes(experiment),
        "Jobs": job_digests(experiment, jobs),
    }
    page = environment.from_string(PAGE).render(
        experiment=experiment.name,
        evidence=experiment.scale.evidence,
        style=TABLE_STYLE + CLAIMS_STYLE,
        levels=levels(judged["rows"]),
        verdicts=VERDICTS,
        found=found(judged["rows"]),
        resolved=resolved(judged["rows"]),
        claims={"caption": caption("claims"), **_embedded(folder / "claims.html")},
        tables=[*tables, _curves(folder / "tables/training_curves.csv")],
        figures=pictures,
        asides=[_aside(experiment, aside) for aside in asides(experiment, exhibits)],
        times=lowered(html_tables({"What the jobs took": stage_times(experiment, jobs)}, TIMES)),
        origins=lowered(html_tables(made_from)),
        files=shlex.join(experiment.files),
    )
    write_text(folder / f"{REPORT}.html", page)


def levels(rows: Sequence[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """How many claims have which verdict, by evidence level.

    Args:
        rows: of claims.json.
    """
    counts = {text: Counter(row["verdict"] for row in rows if row["kind"] == kind) for kind, text in LEVELS.items()}
    return {text: count for text, count in counts.items() if count}


def found(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """The judged statements by evidence level and verdict, those measured with value and interval."""
    lines: dict[str, dict[str, list[str]]] = {}
    for row in sorted(rows, key=lambda row: VERDICTS.index(row["verdict"])):
        if row["interval"] is None:
            continue
        measured = "" if row["kind"] == "mathematics" else f": {_measured(row['interval'], row['unit'])}"
        of_level = lines.setdefault(LEVELS[row["kind"]], {})
        of_level.setdefault(row["verdict"], []).append(f"{row['statement']}{measured}")
    return {level: lines[level] for level in LEVELS.values() if level in lines}


def resolved(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Claims by what the paper's own printed numbers resolve; empty where none was asked."""
    words: dict[str, list[str]] = {word: [] for word in RESOLUTIONS}
    for row in rows:
        if (resolution := row["resolution"]) is not None:
            line = f"{row['statement']} ({row['backbone']}): {amount(resolution['difference'], 'points')}"
            words[resolution["word"]].append(line)
    return {word: lines for word, lines in words.items() if lines}


def caption(stem: str) -> list[str]:
    """The paragraphs of a caption in workflow/report, which are plain sentences."""
    text = _there(CAPTIONS / f"{stem}.rst").read_text(encoding="utf-8")
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]


def data_uri(path: Path) -> str:
    """A picture as part of a page.

    Raises:
        FileNotFoundError: no such file, with what to run. DamagedError: it is no PNG.
    """
    content = _there(path).read_bytes()
    if not content.startswith(PNG):
        raise DamagedError(f"{path}: is no PNG; {MAKE_AGAIN}")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def lowered(html: str) -> str:
    """A page's body with its headings below those of the report; its text is escaped, so tags alone match."""
    return html.replace("<h2>", "<h4>").replace("</h2>", "</h4>")


def _embedded(path: Path) -> dict[str, str]:
    """Title and body, as HTML, of a page of this package.

    Raises:
        FileNotFoundError: no such file, with what to run. DamagedError: it is none of these pages.
    """
    match = EMBEDDED.search(_there(path).read_text(encoding="utf-8"))
    if match is None:
        raise DamagedError(f"{path}: is no page of this version's with a table; {MAKE_AGAIN}")
    return {"title": match["title"], "body": lowered(match["body"])}


def _table(path: Path) -> dict[str, Any]:
    return {"id": f"table-{path.stem}", "caption": caption(path.stem), **_embedded(path)}


def _curves(path: Path) -> dict[str, Any]:
    """The training curves in short."""
    table = {"First and last measured step": curve_ends(read_csv(_there(path)))}
    return {
        "id": f"table-{path.stem}",
        "title": "Training curves in short",
        "caption": caption(path.stem),
        "body": lowered(html_tables(table)),
    }


def _picture(experiment: Experiment, exhibit: Exhibit, path: Path) -> dict[str, Any]:
    """A figure of the results two folders up."""
    return {
        "id": f"figure-{path.stem}",
        "title": exhibit.title,
        "source": data_uri(path),
        "alt": exhibit.alt_text(experiment, path.parent.parent) if exhibit.alt_text else exhibit.title,
        "caption": caption(path.stem),
    }


def _aside(experiment: Experiment, aside: Aside) -> dict[str, Any]:
    pictures = [(path, _picture(experiment, aside.exhibit, path)) for path in aside.figures if aside.exhibit]
    return {
        "id": "-".join(aside.title.lower().split()),
        "title": aside.title,
        "caption": caption(aside.stem),
        "tables": [{"place": str(page), **_embedded(page)} for page in aside.pages],
        "figures": [
            {"place": str(path), **picture, "id": f"{path.parent.parent.name}-{path.stem}"}
            for path, picture in pictures
        ],
        "command": aside.command,
    }


def _measured(interval: Mapping[str, Any], unit: str) -> str:
    """A value with its interval; JSON's null is an end about which nothing is known."""
    low, high = (-math.inf if interval["low"] is None else interval["low"]), interval["high"]
    known = Interval(interval["value"], low, math.inf if high is None else high, interval["covers"])
    return f"{amount(known.value, unit)} {ends(known, unit)}"


def _there(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run snakemake with this scale first")
    return path
