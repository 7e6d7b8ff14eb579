"""What a step does that lost rollouts: whole groups go, a run stops where it can't be chance."""

import os

import pytest
import ray

from real.engines.verl.hooks import VerlError
from real.engines.verl.journal import Journal, line_of
from real.engines.verl.lost import stop_if_any_ended, stop_if_many, whole_groups


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


@pytest.fixture
def private_ray():
    """A Ray of this test's own."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    yield
    ray.shutdown()


def test_a_wait_for_rollouts_ends_when_a_process_that_they_pass_through_has_ended(private_ray):
    @ray.remote(num_cpus=0)
    class Worker:
        def pid(self) -> int:
            return os.getpid()

        def wait(self) -> None:
            while True:
                pass

    idle, busy, killed = (Worker.remote() for _ in range(3))
    pid = ray.get([worker.pid.remote() for worker in (idle, busy, killed)])[2]
    busy.wait.remote()
    actors = {"worker 0": idle, "worker 1": busy, "worker 2": killed}
    stop_if_any_ended(3, actors, patience=2)

    os.kill(pid, 9)
    with pytest.raises(VerlError, match="step 3: worker 2 has ended, so its rollouts"):
        stop_if_any_ended(3, actors, patience=10)
