"""The sandbox, and a fresh checkout for Snakemake in it; all is skipped, with the reason, where none can be started."""

import pytest

from tests.slurm.sandbox import Sandbox, absent
from tests.support.checkout import copy_checkout


@pytest.fixture(scope="session")
def slurm():
    if reason := absent():
        pytest.skip(reason)
    sandbox = Sandbox()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def checkout(slurm, tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("slurm") / "project")
