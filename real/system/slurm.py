"""What SLURM says of the job that this process belongs to."""

import os
import re
import subprocess
from collections.abc import Mapping

# while a controller is busy; a job that must end has half a minute by SLURM's own KillWait
ANSWER_S = 10


def job_id(variables: Mapping[str, str] = os.environ) -> str | None:
    """Its number; None outside SLURM."""
    return variables.get("SLURM_JOB_ID")


def why_ended() -> str | None:
    """Why SLURM ends the job, once it has sent a signal: a time limit, a preemption, or somebody cancelled it.

    None outside SLURM, and where SLURM doesn't answer.
    """
    job = job_id()
    if job is None:
        return None
    try:
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job],
            capture_output=True,
            encoding="utf-8",
            timeout=ANSWER_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return reason(done.stdout)


TIME_LIMIT = "SLURM's time limit"
PREEMPTED = "a preemption by SLURM"
CANCELLED = "a cancellation (scancel)"


def reason(shown: str) -> str | None:
    """The same, by what ``scontrol show job`` prints of a job that is ending; None of one that runs on.

    The state is COMPLETING whatever the cause, so other fields tell.
    """
    fields = dict(re.findall(r"(\w+)=(\S*)", shown))
    if fields.get("JobState") == "RUNNING":
        return None
    if fields.get("Reason") == "TimeLimit" or fields.get("JobState") == "TIMEOUT":
        return TIME_LIMIT
    if fields.get("PreemptTime", "None") != "None" or fields.get("JobState") == "PREEMPTED":
        return PREEMPTED
    return CANCELLED
