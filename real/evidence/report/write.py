"""``results/<scale>/report.html``: a scale's claims, tables, figures, costs and provenance, self-contained.

It shows what the rules of the scale have made and computes nothing anew: claims and tables are drawn from the data that
their own pages are drawn from, captions are those of workflow/report, which Snakemake's own report shows too.
"""

import base64
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from real.config import Experiment
from real.evidence.claims.page import TEMPLATES
from real.evidence.exhibit import Exhibit, evaluations_shown, methods_shown
from real.evidence.layout import TABLE_STYLE, html_tables, read_page
from real.evidence.report.facts import data_hashes, ground_truths, job_digests, origins, records_shown, stage_times
from real.evidence.report.parts import Aside, asides, foreign_inputs, own_inputs
from real.evidence.results import existing
from real.evidence.training_curves import curve_ends
from real.records.jobs import trained_jobs
from real.records.recorded import ABOUT, RECORDED
from real.system.files import MAKE_AGAIN, DamagedError, read_csv, read_json, write_text
from real.tasks.corrections import CORRECTIONS_FILE
from real.tasks.sources import SOURCES_FILE

REPORT = "report"
CAPTIONS = Path("workflow/report")
PNG = b"\x89PNG\r\n\x1a\n"


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
        printed=lambda experiment: [
            *map(str, sorted(CAPTIONS.glob("*.rst"))),
            str(SOURCES_FILE),
            *corrections_shown(),
            *(str(RECORDED / name / ABOUT) for name in records_shown(experiment)),
        ],
        beside=lambda experiment: foreign_inputs(experiment, exhibits),
    )


def corrections_shown() -> list[str]:
    """datasets/corrections.yaml, if there is one."""
    return [str(CORRECTIONS_FILE)] if CORRECTIONS_FILE.exists() else []


def write_report(experiment: Experiment, folder: Path, exhibits: Sequence[Exhibit]) -> None:
    """Write ``report.html`` into the folder of a finished scale.

    Args:
        exhibits: what it shows, as far as the scale has it.

    Raises:
        FileNotFoundError: something that it shows is missing, with what to run.
        DamagedError: something that it shows is damaged.
    """
    had = [exhibit for exhibit in exhibits if not exhibit.absent(experiment)]
    shown = [(exhibit, folder / output) for exhibit in had if not exhibit.command for output in exhibit.outputs]
    jobs = [*trained_jobs(experiment), *(exhibit.job for exhibit in had)]
    made_from = {
        "What made the results": origins(experiment),
        "Data": data_hashes(experiment),
        **ground_truths(experiment),
        "Jobs": job_digests(experiment, jobs),
    }
    page = TEMPLATES.get_template("report/page.html.j2").render(
        experiment=experiment.name,
        evidence=experiment.scale.evidence,
        table_style=TABLE_STYLE,
        claims=read_json(existing(folder / "claims.json"), keys=("experiment", "evidence", "rows", "estimates")),
        caption=caption,
        tables=[
            *(_table(path) for _, path in shown if path.suffix == ".json" and path.parent.name == "tables"),
            _curves(folder / "tables/training_curves.csv"),
        ],
        figures=[_picture(experiment, exhibit, path) for exhibit, path in shown if path.suffix == ".png"],
        asides=[_aside(experiment, aside) for aside in asides(experiment, exhibits)],
        times=html_tables({"What the jobs took": stage_times(experiment, jobs)}, level=4),
        origins=html_tables(made_from, level=4),
        files=shlex.join(experiment.files),
    )
    write_text(folder / f"{REPORT}.html", page)


def caption(stem: str) -> list[str]:
    """The paragraphs of a caption in workflow/report, which are plain sentences."""
    text = existing(CAPTIONS / f"{stem}.rst").read_text(encoding="utf-8")
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]


def data_uri(path: Path) -> str:
    """A picture as part of a page.

    Raises:
        FileNotFoundError: no such file, with what to run. DamagedError: it is no PNG.
    """
    content = existing(path).read_bytes()
    if not content.startswith(PNG):
        raise DamagedError(f"{path}: is no PNG; {MAKE_AGAIN}")
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _table(path: Path) -> dict[str, Any]:
    """A table from the data of its page."""
    title, sections, notes = read_page(existing(path))
    body = html_tables(sections, *notes, level=4)
    return {"stem": path.stem, "title": title, "place": path.with_suffix(".html"), "body": body}


def _curves(path: Path) -> dict[str, Any]:
    """The training curves in short."""
    ends = {"First and last measured step": curve_ends(read_csv(existing(path)))}
    return {"stem": path.stem, "title": "Training curves in short", "body": html_tables(ends, level=4)}


def _picture(experiment: Experiment, exhibit: Exhibit, path: Path) -> dict[str, Any]:
    """A figure of the results two folders up."""
    results = path.parent.parent
    return {
        "stem": path.stem,
        "title": exhibit.title,
        "source": data_uri(path),
        "alt": exhibit.alt_text(experiment, results) if exhibit.alt_text else exhibit.title,
        "place": path,
        "scale": results.name,
    }


def _aside(experiment: Experiment, aside: Aside) -> dict[str, Any]:
    return {
        "stem": aside.stem,
        "title": aside.title,
        "command": aside.command,
        "tables": [_table(path) for path in aside.tables],
        "figures": [_picture(experiment, aside.exhibit, path) for path in aside.figures if aside.exhibit],
    }
