"""What a step does that lost rollouts: whole groups go, a run stops where it can't be chance."""

import pytest

from real.engines.verl.hooks import VerlError
from real.engines.verl.journal import Journal, line_of
from real.engines.verl.lost import stop_if_many, whole_groups


def past(*lost: int | None) -> list[dict]:
    """Lines of metrics.jsonl from step 0 on."""
    return [line_of(step=step, lost_groups=count) for step, count in enumerate(lost)]


def test_a_group_of_fewer_or_more_rollouts_is_left_out_whole():
    assert whole_groups([3, 1, 3, 1, 2, 5, 5, 5], 2) == [1, 3]
    assert whole_groups([], 2) == []


@pytest.mark.parametrize(("lost", "prompts"), [(0, 128), (6, 128), (1, 16), (1, 8), (3, 64)])
def test_a_step_may_lose_one_group_or_one_in_twenty(lost, prompts):
    stop_if_many(4, lost, prompts, past(None, 0, 0, 0))


@pytest.mark.parametrize(("lost", "prompts"), [(7, 128), (2, 16), (4, 64), (128, 128), (1, 1)])
def test_more_than_that_stop_the_run(lost, prompts):
    with pytest.raises(VerlError, match=f"step 4: {lost} of {prompts} groups lost a rollout"):
        stop_if_many(4, lost, prompts, past(None, 0, 0, 0))


@pytest.mark.parametrize("lost", [(None, 0, 1), (None, 1, 0), (None,), (None, 1)])
def test_two_steps_in_a_row_may_lose_a_group(lost):
    stop_if_many(len(lost), 1, 128, past(*lost))


def test_three_steps_in_a_row_that_lose_any_stop_the_run():
    with pytest.raises(VerlError, match="step 3: 3 steps in a row have groups that lost a rollout"):
        stop_if_many(3, 1, 128, past(None, 1, 1))
    stop_if_many(3, 0, 128, past(None, 1, 1))


def test_a_resumed_job_counts_the_steps_before_it_and_none_that_it_does_again(tmp_path):
    journal = Journal(tmp_path)
    for line in past(None, 0, 1, 1):
        journal.write(line)
    with pytest.raises(VerlError, match="3 steps in a row"):
        stop_if_many(4, 1, 128, journal.lines())
    journal.rewind(2)
    stop_if_many(3, 1, 128, journal.lines())
    journal.write(line_of(step=3, lost_groups=1))
    stop_if_many(3, 1, 128, journal.lines())
