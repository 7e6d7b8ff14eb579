"""Checkpoints of the lean forward are the library's, in both directions."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

from real.models.checkpoints import CheckpointError, load_model
from real.models.forwards import BOUND, Verdict, compare, compare_apart, open_model
from real.models.lean import LeanModel
from real.models.lean_checkpoints import CONFIG, INDEX, WEIGHTS, read_lean, write_lean
from real.models.lean_decoder import LeanDecoder
from real.system.files import file_digest
from tests.models.test_lean import KINDS, SIZES

IDS = [[3, 1, 4, 1, 5, 9, 2, 6]]


@pytest.fixture(params=KINDS)
def stored(request, tmp_path):
    """A model of the library, and its folder."""
    kind, config, options = KINDS[request.param]
    torch.manual_seed(0)
    model = kind(config(**SIZES, **options)).eval()
    model.save_pretrained(tmp_path / "model")
    return model, tmp_path / "model"


def edited(folder: Path, change) -> Path:
    """The folder, with other weights."""
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, {"format": "pt"})
    return folder


def last_logits(model) -> torch.Tensor:
    with torch.no_grad():
        if isinstance(model, LeanModel):
            return LeanDecoder(model, IDS, 1).logits
        return model(torch.tensor(IDS)).logits[:, -1]


def test_what_we_write_is_what_the_library_reads(stored, tmp_path):
    model, folder = stored
    (tmp_path / "ours").mkdir()
    write_lean(read_lean(folder), tmp_path / "ours")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    assert type(again) is type(model)
    assert torch.equal(last_logits(again), last_logits(model))
    torch.testing.assert_close(last_logits(read_lean(folder)), last_logits(again), rtol=0, atol=1e-5)
    assert (tmp_path / "ours" / WEIGHTS).stat().st_size == pytest.approx((folder / WEIGHTS).stat().st_size, rel=0.01)


def test_written_again_a_configuration_has_the_same_bytes_so_that_a_verdict_holds_on(stored, tmp_path):
    _, folder = stored
    for name, source in (("once", folder), ("twice", tmp_path / "once")):
        (tmp_path / name).mkdir()
        write_lean(read_lean(source), tmp_path / name)
    assert file_digest(tmp_path / "once" / CONFIG) == file_digest(tmp_path / "twice" / CONFIG)


def test_weights_in_several_files_are_read_by_their_index(stored, tmp_path):
    model, _ = stored
    model.save_pretrained(tmp_path / "sharded", max_shard_size="10KB")
    assert (tmp_path / "sharded" / INDEX).exists()
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    lean = read_lean(tmp_path / "sharded")
    for name, parameter in model.named_parameters():
        assert torch.equal(lean.get_parameter(name), parameter), name


def test_stored_precision_is_kept_unless_another_is_asked_for(stored, tmp_path):
    model, _ = stored
    model.to(torch.bfloat16).save_pretrained(tmp_path / "half")
    assert read_lean(tmp_path / "half").dtype == torch.bfloat16
    lean = read_lean(tmp_path / "half", torch.float32)
    assert {parameter.dtype for parameter in lean.parameters()} == {torch.float32}
    expected = load_model(tmp_path / "half", dtype=torch.float32)
    torch.testing.assert_close(last_logits(lean), last_logits(expected), rtol=0, atol=1e-5)


def test_weights_that_the_model_lacks_are_ignored_as_by_the_library(stored):
    model, folder = stored
    edited(folder, lambda weights: weights.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    assert torch.equal(last_logits(load_model(folder)), last_logits(model))
    torch.testing.assert_close(last_logits(read_lean(folder)), last_logits(model), rtol=0, atol=1e-5)


def test_a_missing_weight_is_one_sentence(stored):
    _, folder = stored
    edited(folder, lambda weights: weights.pop("model.norm.weight"))
    with pytest.raises(
        CheckpointError, match=rf"^{folder}: holds no weights for 1 of .* model.norm.weight among them;"
    ):
        open_model(folder)


def test_a_weight_of_another_shape_is_one_sentence(stored):
    _, folder = stored
    edited(folder, lambda weights: weights.update({"model.norm.weight": torch.ones(3)}))
    sentence = rf"^{folder}: model.norm.weight has the shape \(3,\), but config.json asks for \(32,\); check that"
    with pytest.raises(CheckpointError, match=sentence):
        open_model(folder)


def test_a_head_that_its_configuration_calls_the_embedding_but_is_none_is_left_to_the_library(stored):
    _, folder = stored
    embedding = load_file(folder / WEIGHTS)["model.embed_tokens.weight"]
    tied = read_lean(folder).shape.tied
    edited(folder, lambda weights: weights.update({"lm_head.weight": embedding.clone()}))
    assert read_lean(folder) is not None
    edited(folder, lambda weights: weights.update({"lm_head.weight": embedding + 1}))
    assert (read_lean(folder) is None) == tied


def test_both_forwards_are_compared_on_the_checkpoint(stored):
    _, folder = stored
    verdict = compare(folder)
    assert verdict.forward == "lean"
    assert verdict.largest_difference < BOUND / 10
    assert verdict.config_sha256 == file_digest(folder / CONFIG)
    assert isinstance(open_model(folder), LeanModel)


@pytest.mark.parametrize(
    "change", [{"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}, {"rms_norm_eps": 0.1}]
)
def test_a_forward_that_is_another_one_is_found_and_not_used(tmp_path, monkeypatch, capsys, change):
    """As if the lean forward read a key of config.json wrongly."""
    kind, config, options = KINDS["Llama"]
    torch.manual_seed(0)
    kind(config(**SIZES, **options, initializer_range=0.5)).save_pretrained(tmp_path)
    right = json.loads((tmp_path / CONFIG).read_text())
    monkeypatch.setattr("real.models.lean_checkpoints.read_json", lambda *_: {**right, **change})
    verdict = compare(tmp_path)
    assert verdict.forward == "library"
    assert verdict.largest_difference > BOUND
    model = open_model(tmp_path, verdict)
    assert not isinstance(model, LeanModel)
    assert f"differ from its own by {verdict.largest_difference:.2g} " in capsys.readouterr().out


def test_another_architecture_is_the_librarys_without_a_comparison_or_a_word(tmp_path, capsys):
    GPT2LMHeadModel(GPT2Config(vocab_size=31, n_embd=8, n_layer=1, n_head=2, n_positions=64)).save_pretrained(tmp_path)
    verdict = compare(tmp_path)
    assert (verdict.forward, verdict.largest_difference) == ("library", None)
    assert isinstance(open_model(tmp_path), GPT2LMHeadModel)
    assert capsys.readouterr().out == ""


def test_a_comparison_in_a_process_of_its_own_finds_the_same(checkpoint):
    assert compare_apart(checkpoint) == compare(checkpoint)


def test_a_comparison_that_cannot_be_made_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        compare_apart(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: its two forwards could not be compared (")
    assert "\n" not in str(caught.value)


def test_a_verdict_of_another_configuration_is_not_believed(checkpoint):
    wrong = Verdict("library", 1.0, "transformers 0", "0" * 64)
    assert isinstance(open_model(checkpoint, wrong), LeanModel)
    believed = Verdict("library", 1.0, "transformers 0", file_digest(checkpoint / CONFIG))
    assert not isinstance(open_model(checkpoint, believed), LeanModel)
