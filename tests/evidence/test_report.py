"""The report: one page that needs no other file, holds all that a scale made, and can be read without pictures."""

import base64
import io
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figures import gradient_magnitude, learning_rate_sweep, style
from figures.gradient_magnitude import SHAPES
from real.commands.command_line import main
from real.commands.exhibits import all_jobs, exhibits
from real.config import load
from real.evidence.layout import write_page, write_readable
from real.evidence.report.facts import stage_times
from real.evidence.report.parts import asides, foreign_inputs, own_inputs
from real.evidence.report.write import caption
from real.evidence.training_curves import curve_ends
from real.records.provenance import RECORD
from real.system.code import commit_of
from real.system.files import read_json, write_json
from real.tasks.corrections import corrections_digest, read_corrections
from tests.support import tiny_scale as tiny
from tests.support.paths import ROOT
from tests.support.relink import relink
from tests.support.tiny_scale import CONFIG, RESULTS

REPORT = RESULTS / "report.html"
# elements without an end tag
VOID = {"meta", "img", "br", "hr", "input", "link"}
LOADING = {"script", "iframe", "object", "embed", "link", "audio", "video", "source", "base", "form"}
HOSTILE = '<img src=x onerror="alert(1)"> & "quoted" {{ 7*7 }}'
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")


class Page(HTMLParser):
    """A page's elements in order, with the text of each; an element that is closed by another's end is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[list[str]] = []
        self._open: list[int] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.texts.append([])
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data):
        for place in self._open:
            self.texts[place].append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        """What stands in every such element, spaces aside."""
        found = zip(self.elements, self.texts, strict=True)
        return [" ".join("".join(parts).split()) for (name, _), parts in found if name == tag]

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]


def reported() -> Page:
    """The report, made again."""
    assert main(["make", "report", *CONFIG]) == 0
    return Page(REPORT)


def png(image: dict[str, str | None]) -> bytes:
    kind, _, content = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    return base64.b64decode(content, validate=True)


def test_every_picture_is_the_png_that_the_scale_drew_as_part_of_the_page(tiny_copy):
    images = [png(image) for image in reported().all("img")]
    for content in images:
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            assert image.format == "PNG"
    names = ("gradient_magnitude", "gradient_measured", "training_dynamics")
    assert images == [(RESULTS / f"figures/{name}.png").read_bytes() for name in names]


def test_the_page_loads_nothing_and_leads_elsewhere_only_where_a_reader_clicks(tiny_copy):
    page = reported()
    assert not LOADING & {tag for tag, _ in page.elements}
    for tag, attributes in page.elements:
        assert not {"srcset", "background", "poster"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert "href" not in attributes or tag == "a"
        assert "url(" not in str(attributes.get("style"))
    assert not re.search(r"url\(|@import", " ".join(page.text("style")))
    [policy] = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:;"), "a browser would refuse what this test overlooks"


def test_every_anchor_leads_to_one_place(tiny_copy):
    page = reported()
    links = [str(link["href"]) for link in page.all("a")]
    inner = [link[1:] for link in links if link.startswith("#")]
    assert {"claims", "tables", "figures", "costs", "provenance"} <= set(inner)
    assert set(inner) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("https://") for link in links if not link.startswith("#"))


def test_every_table_figure_and_claim_of_the_scale_is_on_the_page(tiny_copy):
    page = reported()
    cells = " | ".join(page.text("td"))
    outputs = [Path(output) for job in all_jobs(tiny_copy) if job.kind == "drawn" for output in job.outputs]
    tables = [RESULTS / output for output in outputs if output.suffix == ".html" and output.stem != "report"]
    assert [path.stem for path in tables] == ["benchmarks", "claims", "differences", "pass_at_k"]
    for path in tables:
        assert " | ".join(Page(path).text("td")) in cells, path
    for row in curve_ends(pd.read_csv(RESULTS / "tables/training_curves.csv")).itertuples(index=False):
        assert " | ".join(row) in cells
    for output in outputs:
        if output.suffix == ".png":
            assert f"figure-{output.stem}" in page.ids
            assert " ".join(caption(output.stem)) in " ".join(page.text("figcaption"))


def test_claims_come_first_counted_by_evidence_level_with_what_was_judged(tiny_copy):
    page = reported()
    assert page.text("h2")[0] == "Claims"
    rows = read_json(RESULTS / "claims.json")["rows"]
    counts = Counter((row["kind"], row["verdict"]) for row in rows)
    level, *verdicts = page.text("th")[: 1 + len({row["verdict"] for row in rows})]
    assert level == "evidence"
    assert set(verdicts) == {row["verdict"] for row in rows}
    width = 1 + len(verdicts)
    cells = page.text("td")[: 3 * width]
    for line, kind in enumerate(("claim", "mathematics", "analogue")):
        found = cells[width * line + 1 : width * (line + 1)]
        assert found == [str(counts[kind, verdict]) for verdict in verdicts]
    items = page.text("li")
    judged = [row for row in rows if row["interval"]]
    assert judged
    for row in judged:
        assert [item for item in items if item.startswith(row["statement"])], row["id"]
    [real] = [row for row in judged if row["id"].startswith("real_over_base_1_5b@")]
    assert f"{real['statement']}: {100 * real['interval']['value']:+.1f} points" in " ".join(items)


def test_text_alternatives_tell_what_the_pictures_show(tiny_copy):
    magnitude, measured, dynamics = (str(image["alt"]) for image in reported().all("img"))
    curves = pd.read_csv(RESULTS / "tables/training_curves.csv")
    entropy = curves[(curves["metric"] == "entropy") & (curves["method"] == "real")].sort_values("step")["value"]
    assert f"Entropy, nats per token: REAL {entropy.iloc[0]:#.3g} → {entropy.iloc[-1]:#.3g}, GSPO" in dynamics
    assert "REAL: a smooth fall from near 1/τ = 2 to 0" in magnitude
    scores = pd.read_parquet(RESULTS / "runs/real/seed0/gradient_samples.parquet")["score"]
    assert f"REAL {scores.abs().quantile(0.98):.2g}, GSPO" in measured


@pytest.mark.parametrize("name", ["real", "grpo", "dapo", "gspo", "real_bce", "real_product"])
def test_the_shapes_that_text_alternatives_tell_are_those_of_the_training_code(smoke, name):
    method = smoke.methods[name].model_dump()
    score = np.linspace(-2.5, 2.5, 401)
    positive, negative = (gradient_magnitude.weight_curve(method, score, correct) for correct in (True, False))
    assert method["objective"] in SHAPES
    if name.startswith("real"):
        bound = 1 / method["hyperparameters"]["tau"]
        assert (np.diff(positive) < 0).all()
        assert 0.9 * bound < positive[0] < bound
        assert positive[-1] < 0.05 * bound
        assert negative == pytest.approx(positive[::-1])
    else:
        assert np.log(positive[score < 0]) == pytest.approx(score[score < 0], abs=1e-6)
        assert not positive[score > 0.5].any()
        assert np.log(negative[score > 0]) == pytest.approx(score[score > 0], abs=1e-6)
        assert not negative[score < -0.5].any()


def test_text_of_configuration_claims_and_curves_stays_text(tiny_copy):
    tiny.change({"evidence": HOSTILE})
    claims = read_json(RESULTS / "claims.json")
    claims["rows"][0] |= {"statement": HOSTILE, "interval": {"value": 1.0, "low": None, "high": 2.0, "covers": HOSTILE}}
    claims["rows"][0]["verdict"] = "unresolved"
    write_json(RESULTS / "claims.json", claims)
    table = read_json(RESULTS / "tables/benchmarks.json")
    [cells] = table["sections"].values()
    cells["data"][0][1], cells["columns"][1] = f"cell {HOSTILE}", f"column {HOSTILE}"
    stored = {"title": f"title {HOSTILE}", "sections": {f"heading {HOSTILE}": cells}, "notes": [f"note {HOSTILE}"]}
    write_json(RESULTS / "tables/benchmarks.json", stored)
    curves = RESULTS / "tables/training_curves.csv"
    frame = pd.read_csv(curves)
    frame.assign(label=frame["label"].replace("GSPO", HOSTILE)).to_csv(curves, index=False)
    relink(RESULTS)
    page = reported()
    assert len(page.all("img")) == 3
    assert page.text("p")[0] == f"Evidence: {HOSTILE}."
    assert [item for item in page.text("li") if item.startswith(f"{HOSTILE}: ")]
    assert HOSTILE in page.text("td")
    tags = {"h3": "title", "a": "title", "h4": "heading", "td": "cell", "th": "column", "p": "note"}
    for tag, what in tags.items():
        assert f"{what} {HOSTILE}" in page.text(tag)
    assert f"{HOSTILE} " in str(page.all("img")[-1]["alt"])


def test_what_other_targets_make_is_named_with_its_command_where_it_is_absent(tiny_copy):
    page = reported()
    [section] = [text for text in page.text("section") if text.startswith("Further targets")]
    commands = [code for code in page.text("code") if code in section]
    assert "snakemake results/datasets/contamination_dapo_math_17k.html --cores all" in commands
    for target, overlay in (("learning_rate_sweep", "learning_rate_sweep"), ("mechanism", "stale_rollouts")):
        [command] = [code for code in commands if code.startswith(f"snakemake {target} ")]
        files = command.partition("--configfile ")[2].split()
        assert files[-1] == f"paper_configs/variants/{overlay}.yaml"
        load(files, local_file=Path("absent"))
    assert section.count("Not run here.") == len(asides(tiny_copy, exhibits())) == len(commands)
    assert foreign_inputs(tiny_copy, exhibits()) == []


def made_elsewhere() -> None:
    """Results of other targets: a sweep and a mechanism of further overlays, one contamination report."""
    table = pd.DataFrame({"method": ["REAL"], "1.5e-04": ["0.987 / 0.986"]})
    sweep = Path("results/smoke+learning_rate_sweep")
    for folder in (sweep, Path("results/smoke+stale")):
        (folder / "tables").mkdir(parents=True)
        (folder / "figures").mkdir()
    scores = {"method": "real", "label": "REAL", "learning_rate": [1.5e-4, 3e-4], "val_pass_at_1": [0.98, 0.25]}
    frame = pd.DataFrame({**scores, "values": ["0.987 0.973", "0.2 0.3"]})
    frame.to_csv(sweep / "tables/learning_rate_sweep.csv", index=False)
    write_readable(sweep / "tables/learning_rate_sweep", "Sweep", {"evidence": table}, "note")
    style.write(learning_rate_sweep.draw(frame, "evidence"), sweep / "figures/learning_rate_sweep.png")
    runs = {"staleness": 8, "learning_rate": 3e-4, "label": ["+ a", "− b"], "test": [0.75, 0.5]}
    stale = Path("results/smoke+stale")
    pd.DataFrame(runs).to_csv(stale / "tables/mechanism_runs.csv", index=False)
    write_readable(stale / "tables/mechanism", "Mechanism", {"Staleness 8": table}, "note")
    shutil.copy(sweep / "figures/learning_rate_sweep.png", stale / "figures/mechanism.png")
    Path("results/datasets").mkdir()
    counts = {"counts": pd.DataFrame({"dataset": ["AMC23"], "equal": [14]})}
    write_page(Path("results/datasets/contamination_dapo_math_17k"), "Contamination", counts, "method")


def test_what_other_targets_made_is_shown_with_the_folder_it_is_from(tiny_copy):
    made_elsewhere()
    page = reported()
    [section] = [text for text in page.text("section") if text.startswith("Further targets")]
    assert section.count("Not run here.") == 2, "DeepScaleR's and GSM8K's contamination"
    for text in ("0.987 / 0.986", "AMC23 14", "results/smoke+learning_rate_sweep/tables/learning_rate_sweep.html"):
        assert text in section
    sweep, mechanism = page.all("img")[3:]
    assert "REAL: 0.980 at 1.5e-04, 0.250 at 3.0e-04" in str(sweep["alt"])
    assert "Staleness 8, learning rate 3.0e-04: + a: 0.750, − b: 0.500" in str(mechanism["alt"])
    assert png(sweep) == Path("results/smoke+learning_rate_sweep/figures/learning_rate_sweep.png").read_bytes()
    assert len(page.ids) == len(set(page.ids))
    assert [path.name for path in foreign_inputs(tiny_copy, exhibits())] == [
        "learning_rate_sweep.json",
        "learning_rate_sweep.png",
        "mechanism.json",
        "mechanism.png",
        "contamination_dapo_math_17k.json",
    ]


def test_costs_are_sums_of_what_jobs_recorded(tiny_copy):
    for path in (RESULTS / "provenance").glob("*.json"):
        drawn = {"wall_seconds": 2.5, "cpu_seconds": 1.0, "cpu_seconds_children": 0.0, "peak_memory_bytes": 100_000_000}
        path.unlink() if path.stem not in ("claims", "benchmarks") else write_json(path, read_json(path) | drawn)
    path = RESULTS / "runs/real/seed0" / RECORD
    taken = {
        "wall_seconds": 1800.0,
        "cpu_seconds": 10.0,
        "cpu_seconds_children": 5.0,
        "peak_memory_bytes": 5_000_000_000,
    }
    write_json(path, read_json(path) | taken | {"command": ["python", "-m", "real", "train", "--gpus", "4"]})
    times = stage_times(tiny_copy, all_jobs(tiny_copy)).set_index("stage")
    assert list(times.loc["training, REAL"]) == ["1", "1,800", "15", "5,000", "2.0"]
    assert list(times.loc["tables, claims and figures"]) == ["2", "5", "2", "100", "0.0"]
    assert times.loc["evaluation", "jobs"] == "3"
    evaluations = [read_json(path) for path in (RESULTS / "evaluations").rglob(RECORD)]
    assert times.loc["evaluation", "wall, s"] == f"{sum(record['wall_seconds'] for record in evaluations):,.0f}"


def test_without_gpus_there_are_no_gpu_hours(tiny_copy):
    assert "GPU-hours" not in stage_times(tiny_copy, all_jobs(tiny_copy))


def test_provenance_names_commits_machine_versions_seeds_and_hashes(tiny_copy):
    path = RESULTS / "runs/gspo/seed0" / RECORD
    other = {"commit": "f" * 40, "modified_files": 0}
    write_json(path, read_json(path) | {"git": other})
    relink(RESULTS)
    [section] = [text for text in reported().text("section") if text.startswith("Provenance")]
    record = read_json(RESULTS / "base" / RECORD)
    assert f"{commit_of(record)} (5 jobs)" in section
    assert "commit ffffffffffff (1 job)" in section
    assert f"{record['machine']['processor']}, {record['machine']['cores']} cores" in section
    assert f"torch {record['packages']['torch']}" in section
    assert "seeds 0 commit" in section
    evaluated = read_json(RESULTS / "evaluations/base/evaluation.json")
    assert evaluated["sampler"]["checkpoint"] in section
    assert f"digest {evaluated['benchmarks']['mix4']['digest']}" in section
    for name in ("base", "runs/real/seed0", "evaluations/gspo/seed0"):
        made = read_json(RESULTS / name / RECORD)
        assert f"{name} {made['config_digest']} {made['code_digest']} {commit_of(made)}" in section


def test_corrected_ground_truths_are_shown_with_how_many_jobs_read_them_so_and_those_not_understood(tiny_copy):
    assert "Ground truths" not in " ".join(reported().text("h4")), "the laptop's task has none"
    corrections = read_corrections()
    [(row, one)] = corrections["olympiad_bench"].items()
    digest = corrections_digest(corrections, "olympiad_bench")
    for job, corrected in {
        "evaluations/base": digest,
        "evaluations/real/seed0": digest,
        "runs/gspo/seed0": "0",
    }.items():
        data = {"olympiad_bench": {"source": "s", "content": "c", "corrections": corrected}, "math": {"source": "s"}}
        write_json(RESULTS / job / RECORD, read_json(RESULTS / job / RECORD) | {"data": data})
    about = RESULTS / "evaluations/base/evaluation.json"
    evaluated = read_json(about)
    evaluated["benchmarks"]["mix4"]["ground_truths_not_understood"] = ["mix4-1", "mix4-<b>"]
    write_json(about, evaluated)
    relink(RESULTS)
    page = reported()
    [section] = [text for text in page.text("section") if text.startswith("Provenance")]
    cells = f"OlympiadBench {row} {one.found} {one.corrected} {one.reason} 2 of 3"
    assert f"reason jobs that read it so {cells} Ground truths that the grader doesn't understand" in section
    assert "benchmark count problems mix4 2 mix4-1, mix4-<b>" in section


def test_other_corrections_make_the_report_again(tiny_copy):
    [report] = [exhibit for exhibit in exhibits() if exhibit.name == "report"]
    before = report.origin(tiny_copy).identity
    file = Path("datasets/corrections.yaml")
    text = file.read_text(encoding="utf-8")
    Path("datasets").unlink()  # a link to the repository's
    shutil.copytree(ROOT / "datasets", "datasets", ignore=shutil.ignore_patterns("raw", "prepared"))
    assert report.origin(tiny_copy).identity == before
    file.write_text(text.replace("misprint", "slip"), encoding="utf-8")
    assert report.origin(tiny_copy).identity != before
    file.unlink()
    assert report.origin(tiny_copy).identity != before
    assert "were corrected" not in " ".join(reported().text("h4"))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("tables/differences.json", None, "no such file; run snakemake with this scale first"),
        ("tables/differences.json", b'{"title": "x"}', "lacks sections, notes; delete"),
        ("tables/differences.json", b'{"title": "x", "sections": [], "notes": []}', "holds no table of this version's"),
        ("figures/training_dynamics.png", b"%PDF", "is no PNG; delete it and run the command that made it again"),
        ("claims.json", b"{", "is damaged"),
        ("claims.json", b'{"experiment": "x", "evidence": "y", "rows": []}', "lacks estimates, others; delete"),
    ],
)
def test_a_missing_or_damaged_part_is_named_and_nothing_is_written(tiny_copy, capsys, name, content, sentence):
    before = REPORT.read_bytes()
    path = RESULTS / name
    path.unlink() if content is None else path.write_bytes(content)
    relink(RESULTS)
    assert main(["make", "report", *CONFIG]) == 1
    assert capsys.readouterr().err.startswith(f"real: {path}: {sentence}")
    assert REPORT.read_bytes() == before


def test_inputs_are_all_that_is_shown_and_at_protected_scales_nothing_that_would_repeat_a_run(tiny_copy):
    inputs = own_inputs(tiny_copy, exhibits()[:-1])
    assert {"claims.json", f"runs/real/seed0/{RECORD}"} < set(inputs)
    assert REPORT.name not in inputs
    assert [path for path in inputs if not (RESULTS / path).exists()] == []
    scale = tiny_copy.scale.model_copy(update={"protected": True})
    kept = own_inputs(tiny_copy.model_copy(update={"scale": scale}), exhibits()[:-1])
    assert {Path(path).parent.name for path in kept} == {"tables", "figures", ""}


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/report").glob("*.rst")), ids=lambda path: path.stem)
def test_a_caption_is_plain_sentences_that_say_what_is_not_shown(path):
    """No mark-up of reStructuredText or Jinja, so that Snakemake's report and ours show the same words."""
    text = path.read_text()
    assert not re.search(r"[*`|_{}<>\\@]|::|^[ \t]", text, re.M)
    assert path.stem == "workflow" or text.split("\n\n")[-1].startswith("Not shown: ")


def test_at_the_published_scale_the_page_says_what_the_printed_numbers_resolve(workplace):
    published = ["--config", "paper_configs/published.yaml"]
    for name in ("benchmarks", "training_curves", "claims"):
        assert main(["make", name, *published]) == 0
    figures = Path("results/published/figures")
    figures.mkdir()
    for name in ("training_dynamics", "gradient_magnitude"):
        Image.new("RGB", (2, 2)).save(figures / f"{name}.png")
    assert main(["make", "report", *published]) == 0
    page = Page(Path("results/published/report.html"))
    [claims] = [text for text in page.text("section") if text.startswith("Claims")]
    resolved, _, rest = claims.partition(" not resolvable ")
    assert "REAL scores higher than DAPO, mean of the six benchmarks (DeepSeek-R1-Distill-Qwen-1.5B): +6.7" in resolved
    assert "REAL scores higher than GSPO, mean of the six benchmarks (DeepSeek-R1-Distill-Qwen-1.5B): +0.7" in rest
    assert "DAPO 0.237 → 0.468 (step 160)" in str(page.all("img")[-1]["alt"]), "its line leaves the printed axis"
    assert re.search(r"paper_configs/reported/disco.csv sha256 [0-9a-f]{64}", " ".join(page.text("section")))


def test_a_real_browser_shows_the_page_without_an_error(tiny_copy, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)}")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    # no host resolves, so that whatever the page asked of another would be an error on its console
    alone = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'browser'}"]
    command = [browser, *options, *alone, "--window-size=400,800", "--dump-dom", REPORT.resolve().as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    assert done.stdout.count("<figure ") == 3
