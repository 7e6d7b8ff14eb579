"""Which kernels a job takes: by trials on this machine, and as the configuration names them."""

import re

import pytest
from runs import changed, composed, run_of
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from real.engines.verl.hooks import VerlError
from real.engines.verl.kernels import SDPA_PACK, choose, settled, trial, tried


def on_a_cpu(attention: str):
    """A run of 1.5B whose kernels are chosen here."""
    return changed(run_of("1.5b"), cluster={"device": "cpu", "precision": "float32", "attention": attention})


def test_auto_takes_the_first_attention_that_runs_and_says_why_not_a_better_one(checkpoint):
    chosen = choose(on_a_cpu("auto"), checkpoint)
    assert (chosen.attention, chosen.head) == ("sdpa", "fused")
    flash, flex = chosen.passed_over
    assert re.match("flash_attention_2: .* installed", flash)
    assert re.match("flex_attention: .* CPU", flex)
    assert all(reason in chosen.sentence() for reason in chosen.passed_over)


def test_an_attention_that_is_named_is_taken_without_a_trial(tmp_path):
    chosen = choose(on_a_cpu("flash_attention_2"), tmp_path / "no checkpoint")
    assert (chosen.attention, chosen.passed_over) == ("flash_attention_2", ())


def test_the_trial_passes_a_kernel_that_keeps_packed_rows_apart_and_no_other(checkpoint):
    # transformers makes no mask for a name that it doesn't know, so that rows see those before them
    AttentionInterface.register("mixing", sdpa_attention_forward)
    assert trial(checkpoint, "cpu", "float32", "sdpa") is None
    assert trial(checkpoint, "cpu", "bfloat16", "sdpa") is None
    assert "its gradient over packed rows is off by" in trial(checkpoint, "cpu", "bfloat16", "mixing")


def test_a_trial_that_ends_without_an_answer_is_said(tmp_path):
    with pytest.raises(VerlError, match=r"the trial of the attention kernels failed .*; set cluster.attention to one"):
        tried(tmp_path, "cpu", "float32")


def test_a_mask_over_the_pack_is_bounded_unless_sdpa_is_asked_for():
    run = run_of("1.5b")
    assert settled(run, "flex_attention").micro_batch_tokens == run.cluster.micro_batch_tokens == 36864
    assert settled(run, "sdpa").micro_batch_tokens == SDPA_PACK
    long = changed(run, training={"max_response_tokens": 16384})
    assert settled(long, "sdpa").micro_batch_tokens == 1024 + 16384, "a row is never cut"
    assert settled(changed(run, cluster={"attention": "sdpa"}), "sdpa").micro_batch_tokens == 36864
    assert settled(changed(run, cluster={"micro_batch_tokens": None}), "sdpa").micro_batch_tokens is None


@pytest.mark.parametrize(("head", "fused"), [("auto", True), ("fused", True), ("logits", False)])
@pytest.mark.parametrize(("device", "backend"), [("cuda", "triton"), ("cpu", "torch")])
def test_the_head_reaches_verl(head, fused, device, backend):
    model = composed(changed(run_of("1.5b"), cluster={"head": head, "device": device})).actor_rollout_ref.model
    assert (model.use_fused_kernels, model.fused_kernel_options.impl_backend) == (fused, backend)
