"""Checkpoints from a stranger: nothing that they bring along runs, in evaluation or training, and each is one sentence.

Every attack is first shown to work where the guard is taken away.
"""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, dynamic_module_utils

from real.config import PAPER_EVALUATION
from real.engines.torch.policy import load_checkpoint
from real.models.checkpoints import CheckpointError, content_digest, find_checkpoint, link_checkpoint
from real.models.torch_sampler import TorchSampler
from real.system.files import DamagedError
from real.tasks.problems import Problem

CPU = torch.device("cpu")


@pytest.fixture
def model(base_folder, tmp_path) -> Path:
    """A sound checkpoint, to be spoilt."""
    return shutil.copytree(base_folder[1] / "base" / "model", tmp_path / "model")


@pytest.fixture
def marker(tmp_path, monkeypatch) -> Path:
    """The file that appears if code of a checkpoint runs."""
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "ran"


READERS: dict[str, Callable[[Path, Path], object]] = {
    "transformers sampler": lambda model, _: TorchSampler(str(model), PAPER_EVALUATION, "cpu"),
    "torch engine": lambda model, _: load_checkpoint(model, CPU),
    "base model of a verl scale": lambda model, target: link_checkpoint(str(model), None, target),
}
readers = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@readers
def test_pickled_weights_are_refused_and_never_loaded(model, marker, tmp_path, read):
    weights = load_file(model / "model.safetensors")
    torch.save({**weights, "trap": Trap(marker)}, model / "pytorch_model.bin")
    torch.load(model / "pytorch_model.bin", weights_only=False)
    assert marker.exists(), "the trap works"
    marker.unlink()

    read(model, tmp_path / "beside")  # beside sound weights it is never read
    (model / "model.safetensors").unlink()
    with pytest.raises(CheckpointError) as caught:
        read(model, tmp_path / "alone")
    assert str(caught.value).startswith(
        f"{model}: holds no weights as *.safetensors; pickled ones (pytorch_model.bin) "
    )
    assert "from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not marker.exists()
    assert not (tmp_path / "alone").exists()


def test_a_pickle_that_is_called_safetensors_or_listed_in_their_index_is_not_loaded(model, marker):
    with (model / "model.safetensors").open("wb") as file:
        pickle.dump(Trap(marker), file)
    with pytest.raises(CheckpointError, match=rf"^{model}: could not be loaded as a causal language model"):
        load_checkpoint(model, CPU)
    (model / "model.safetensors").rename(model / "hidden.bin")
    (model / "other.safetensors").touch()
    index = {"metadata": {}, "weight_map": {"model.embed_tokens.weight": "hidden.bin"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=rf"^{model}: could not be loaded as a causal language model"):
        load_checkpoint(model, CPU)
    assert not marker.exists()


@readers
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_a_checkpoint_is_refused_and_never_run(model, marker, tmp_path, read, name):
    kind, code = {
        "config.json": ("AutoModelForCausalLM", "ours.Model"),
        "tokenizer_config.json": ("AutoTokenizer", [None, "ours.Tokenizer"]),
    }[name]
    content = json.loads((model / name).read_text())
    (model / name).write_text(json.dumps({**content, "auto_map": {kind: code}}))
    (model / "ours.py").write_text(
        "from pathlib import Path\nfrom transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM\n"
        f"Path({str(marker)!r}).touch()\n"
        "class Tokenizer(PreTrainedTokenizerFast): pass\nclass Model(Qwen2ForCausalLM): pass\n"
    )
    with pytest.raises(CheckpointError) as caught:
        read(model, tmp_path / "linked")
    assert str(caught.value).startswith(
        f"{model / name}: names Python code (auto_map) that loading the checkpoint would"
    )
    assert "cluster.trust_remote_code: true" in str(caught.value)
    assert not marker.exists()

    loader = AutoModelForCausalLM if name == "config.json" else AutoTokenizer
    loader.from_pretrained(model, trust_remote_code=True)
    assert marker.exists(), "so it would have run"


def test_trusted_code_is_linked_and_counts_as_content_and_is_left_out_otherwise(model, tmp_path):
    (model / "ours.py").write_text("x = 1\n")
    link_checkpoint(str(model), None, tmp_path / "untrusted")
    assert not (tmp_path / "untrusted" / "ours.py").exists()
    (model / "config.json").write_text(json.dumps({"auto_map": {"AutoConfig": "ours.Config"}}))
    link_checkpoint(str(model), None, tmp_path / "trusted", trust_remote_code=True)
    assert (tmp_path / "trusted" / "ours.py").read_text() == "x = 1\n"
    before = content_digest(model)
    (model / "ours.py").write_text("x = 2\n")
    assert content_digest(model) != before


@readers
def test_an_adapter_which_names_another_checkpoint_is_refused(model, tmp_path, read):
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "somebody/else"}')
    with pytest.raises(
        CheckpointError, match=rf"^{model}/adapter_config.json: the checkpoint is an adapter, .*; merge"
    ):
        read(model, tmp_path / "linked")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"cut",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"?",
        lambda content: b"\xff" * 8 + content[8:],
        lambda content: content[:8] + b"x" + content[9:],
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "garbage", "a byte short", "half", "a byte long", "huge header", "spoilt header", "zeros"],
)
def test_damaged_weights_are_one_sentence_with_the_folder_and_the_remedy(model, spoil):
    path = model / "model.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(model, CPU)
    assert str(caught.value).startswith(f"{model}: could not be loaded as a causal language model with its tokenizer (")
    assert str(caught.value).endswith("delete its folder and run the command that made it again")
    assert "\n" not in str(caught.value)


def test_a_damaged_configuration_is_one_sentence(model):
    (model / "config.json").write_text('{"model_type": "qwen2"')
    with pytest.raises(
        DamagedError, match=rf"^{model}/config.json: is damaged .*; check that the checkpoint is complete"
    ):
        find_checkpoint(str(model))


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch ' ~ messages[0]['content']) }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception('no') }}",
        "{{ messages[99]['content']['x'] }}",
        "{% for a in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_chat_template_stays_in_its_sandbox_and_fails_in_one_sentence(model, marker, template):
    (model / "chat_template.jinja").write_text(template)
    sampler = TorchSampler(str(model), PAPER_EVALUATION, "cpu")
    problem = Problem("p-0", "p", ({"role": "user", "content": str(marker)},), ("1",), "test")
    with pytest.raises(
        CheckpointError, match=rf"^{model}: its chat template failed on p-0 \(.*\); correct chat_template"
    ):
        sampler.check([problem])
    assert not marker.exists()
