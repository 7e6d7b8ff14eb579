"""No text becomes code, no secret is written, nobody else's file is written through (docs/security.md)."""

import ast
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import asdict

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from real import config
from real.commands.command_line import main
from real.evidence.claims.controls import Controls
from real.evidence.claims.judge import ClaimRow
from real.evidence.claims.page import page
from real.evidence.claims.plans import Power
from real.evidence.layout import html_page, write_readable
from real.evidence.third_party import Report
from real.statistics.intervals import Interval
from real.system.gpus import Gpu, GpuError, claim
from real.system.yaml_files import StrictLoader
from tests.conftest import SECRETS
from tests.support import tiny_scale as tiny
from tests.support.finished import PRINTED
from tests.support.paths import ROOT
from tests.support.relink import relink

CODE = [*sorted(path for room in ("real", "figures", "workflow", "benchmarks") for path in (ROOT / room).rglob("*.py"))]
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]

# modules whose readers run code that stands in the data
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle"}
CALLS = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pandas.read_pickle", "numpy.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "subprocess.getoutput"),
}
CHAT_TEMPLATES = "jinja2.sandbox.ImmutableSandboxedEnvironment"  # a checkpoint's own can run no code there
KEYWORDS = {"shell": True, "allow_pickle": True, "trust_remote_code": True, "weights_only": False, "autoescape": False}


def risks(source: str) -> Iterator[str]:
    """What in a module could turn data into code, each as `line: what`."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from (f"{node.lineno}: import {name}" for name in modules if name.split(".")[0] in PICKLES)
        if not isinstance(node, ast.Call):
            continue
        head, *rest = ast.unparse(node.func).split(".")
        called = ".".join([names.get(head, head), *rest])
        given = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
        loader = next((ast.unparse(word.value) for word in node.keywords if word.arg == "Loader"), None)
        if called in CALLS and (called, loader) != ("yaml.load", "StrictLoader"):
            yield f"{node.lineno}: {called}"
        yield from (f"{node.lineno}: {word}={given[word]}" for word, bad in KEYWORDS.items() if given.get(word) is bad)
        if called == "torch.load" and given.get("weights_only") is not True:
            yield f"{node.lineno}: torch.load"
        # the sandbox writes what a model reads, no page: escaped, it would be another prompt
        page = called.endswith("Environment") and called.startswith("jinja2.") and called != CHAT_TEMPLATES
        if page and given.get("autoescape") is not True:
            yield f"{node.lineno}: {called} without autoescape"


def test_the_loader_of_the_configuration_is_a_safe_one():
    """What the guard below lets through by its name."""
    assert issubclass(StrictLoader, yaml.SafeLoader)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_turns_data_into_code(path):
    assert list(risks(path.read_text())) == []


@pytest.mark.parametrize("path", RULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_rule_turns_data_into_code(path):
    """Rules are no plain Python; names are enough to look for."""
    # of a shell, `exec` starts a program in the shell's place
    words = (
        r"\b(eval|exec(?! python -m real )|pickle|os\.system|os\.popen|yaml\.(?:unsafe_|full_)?load)\b|shell\s*=\s*True"
    )
    assert re.findall(words, path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads as l",
        "import torch; torch.load(p)",
        "import torch as t; t.load(p, weights_only=False)",
        "from torch import load; load(p)",
        "import yaml; yaml.load(text)",
        "from yaml import unsafe_load as u; u(text)",
        "eval(text)",
        "import subprocess; subprocess.run(text, shell=True)",
        "import os; os.system(text)",
        "import numpy as np; np.load(p, allow_pickle=True)",
        "A.from_pretrained(p, trust_remote_code=True)",
        "import pandas as pd; pd.read_pickle(p)",
        "import jinja2; jinja2.Environment()",
    ],
)
def test_the_guard_finds_each_kind_of_risk(line):
    assert list(risks(line))


def test_the_guard_passes_what_is_safe():
    safe = "import torch, yaml, re; torch.load(p, weights_only=True); yaml.safe_load(t); re.compile(t); model.eval()"
    assert list(risks(safe)) == []


def fields(model: type[BaseModel]) -> set[str]:
    """Names of a model's fields and of those of the models in them."""
    found = set(model.model_fields)
    for field in model.model_fields.values():
        parts = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                found |= fields(part)
    return found


def test_the_configuration_has_no_place_for_a_secret():
    scales = (config.TorchScale, config.VerlScale, config.VerlArithmeticScale, config.ReportedScale)
    names = set().union(*map(fields, scales))
    assert {"wandb", "trust_remote_code", "max_response_tokens"} <= names
    suspicious = {name for name in names if re.search("key|token|secret|password|credential|auth", name)}
    counted_in_tokens = {
        *("max_prompt_tokens", "max_response_tokens", "micro_batch_tokens", "vllm_batched_tokens"),
        "overlong_buffer_tokens",
    }
    assert suspicious <= counted_in_tokens


def test_no_secret_of_the_environment_is_written_or_printed(tiny_scale):
    written = [path for path in tiny_scale.rglob("*") if path.is_file() and not path.is_symlink()]
    names = {path.name for path in written}
    assert {"provenance.json", "config.yaml", "evaluation.json", "metrics.jsonl", "report.html", PRINTED} <= names
    assert "pass@1" in (tiny_scale / PRINTED).read_text()
    for path in written:
        content = path.read_bytes()
        for name, secret in SECRETS.items():
            assert secret.encode() not in content, path
            assert name.encode() not in content, path


def test_no_response_of_a_model_reaches_a_table(tiny_copy):
    """So a response can neither be a page's script nor a spreadsheet's formula."""
    for path in tiny.RESULTS.glob("evaluations/**/*.parquet"):
        answers = {"response": "=1+1<script>HOSTILE</script>", "answer": "=HOSTILE()"}
        pd.read_parquet(path).assign(**answers).to_parquet(path)
    relink(tiny.RESULTS)
    for verb in ("benchmarks", "pass_at_k", "claims"):
        assert main(["make", verb, *tiny.CONFIG]) == 0
    written = [path for path in tiny.RESULTS.rglob("*") if path.suffix in {".csv", ".html", ".md", ".tex"}]
    assert {path.suffix for path in written} == {".csv", ".html", ".md", ".tex"}
    assert [path for path in [*written, tiny.RESULTS / "claims.json"] if "HOSTILE" in path.read_text()] == []


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></table><iframe>",
    "{{ 7*7 }}",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_a_table_page_stays_text(tmp_path, text):
    """Labels, headings and notes come from the config and from datasets/sources.yaml."""
    table = pd.DataFrame({"method": [text], text: ["0.5"]})
    html = html_page(text, {text: table}, text)
    assert html.count(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 7
    assert not re.search("<(script|img|iframe)", html)
    write_readable(tmp_path / "table", text, {text: table}, text)
    assert (tmp_path / "table.html").read_text() == html


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_a_markdown_table_begins_no_tag(tmp_path, text):
    write_readable(tmp_path / "table", text, {text: pd.DataFrame({"method": [text], text: ["1"]})}, text)
    markdown = (tmp_path / "table.md").read_text()
    assert "<" not in markdown
    assert markdown.count(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 5


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_the_claims_page_stays_text(text):
    row = ClaimRow(
        id="x",
        kind="claim",
        primary=True,
        backbone=text,
        statement=text,
        source=text,
        unit="plain",
        published=1.0,
        region=(0.0, None),
        interval=Interval(1.0, 0.5, 1.5, text),
        verdict="unresolved",
        counted=True,
        reason=text,
        size=text,
        plan=Power(2, 16, 0.95, chance=0.4, others={text: 0.5}, spread=text, control=text),
        controls=Controls(untrained=None, others=[text], tried=1, control=None) if text.startswith("<") else None,
        resolution=None,
        printed=(text, text),
        note=text,
        command=text,
        cost=text,
    )
    other = Report(text, text, text, text, "direction", None, None, None, text)
    heading = {"experiment": text, "scale": text, "evidence": text}
    html = page({**heading, "rows": [asdict(row)], "estimates": {text: text}, "others": [asdict(other)]})
    assert not re.search("<(script|img|iframe)", html)
    assert "7*7" in html or "7*7" not in text, "a template in a text is not rendered"


@given(st.text(min_size=1, max_size=30))
def test_a_label_never_leaves_its_latex_cell(tmp_path_factory, text):
    """Whatever a label holds, the table has the same rows and columns, and no command of the label's."""
    text = " ".join(text.split())
    folder = tmp_path_factory.getbasetemp()
    write_readable(folder / "label", "title", {"heading": pd.DataFrame({"method": [text], "x": ["1"]})}, "note")
    latex = (folder / "label.tex").read_text()
    plain = re.sub(r"\\[&%$#_{}]|\\text\w+ ?|\\space ?|\\[\^~]\S*", "", latex)
    assert plain.count("&") == 2
    assert set(re.findall(r"\\[a-zA-Z]+", plain)) <= {r"\begin", r"\end", r"\toprule", r"\midrule", r"\bottomrule"}


def test_a_lock_folder_that_others_can_write_to_is_refused(tmp_path):
    """There somebody could place a link under a lock's name, and have its end overwritten."""
    victim, gpus = tmp_path / "victim", [Gpu("0", "GPU-0")]
    victim.write_text("precious")
    folder = tmp_path / "real-gpus"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "GPU-0.pid").symlink_to(victim)
    with pytest.raises(GpuError, match=rf"^{folder}: is no folder that this user alone can write to, .*set TMPDIR"):
        claim(gpus, 1, folder).__enter__()
    assert victim.read_text() == "precious"
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path)
    with pytest.raises(GpuError, match=f"^{linked}: is no folder"):
        claim(gpus, 1, linked).__enter__()
    with claim(gpus, 1, tmp_path / "own"):
        assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a folder that belongs to somebody else")
def test_a_lock_folder_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / "real-gpus"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(GpuError, match=f"^{folder}: is no folder that this user alone"):
        claim([Gpu("0", "GPU-0")], 1, folder).__enter__()
