"""Two vLLM engines: the responses of one, on loopback alone, and they end with the command."""

from contextlib import closing

from launches import SCALE
from vllm_evaluations import PROBLEMS, SETTINGS, continued_after_sigterm, own_processes
from watching import elsewhere, watch

from real.models.vllm_sampler import VllmSampler


def test_two_engines_give_the_same_responses_and_end_with_the_sampler(sampler, checkpoint):
    expected, before = sampler.sample(PROBLEMS, 3), own_processes()
    with closing(VllmSampler(str(checkpoint), SETTINGS, "cpu", engines=2)) as two:
        assert two.identity == sampler.identity
        assert two.sample(PROBLEMS, 3) == expected
        names = [child.name() for child in own_processes() if child not in before]
        assert sum("EngineCore" in name for name in names) == 2, names
    assert own_processes() == before


def test_sigterm_ends_both_and_one_goes_on(sampler, checkpoint, tmp_path):
    continued_after_sigterm(sampler, checkpoint, tmp_path, "--gpus", "2")


def test_two_engines_of_an_evaluation_listen_on_loopback_alone(project, tmp_path):
    log = tmp_path / "log.txt"
    model = project.folder / "results" / "verl_smoke" / "base" / "model"
    asked = ["--sampler", "vllm", "--gpus", "2", "--model", str(model), "--output", str(tmp_path / "out")]
    seen = watch(project.start("-m", "real", "evaluate", "--config", SCALE, *asked, log=log), log)
    assert seen, "vLLM's engines meet their client at a socket"
    assert elsewhere(seen) == []
