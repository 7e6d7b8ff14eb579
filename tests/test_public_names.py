"""What ``real`` itself exports is what its modules define, and costs nothing until it is used."""

import pytest

import real
from real import exact, grading, objectives
from tests.support.processes import python

DEFINED = {
    "OBJECTIVES": objectives,
    "Objective": objectives,
    "make_objective": objectives,
    "surrogate": exact,
    "token_weights": exact,
    "Grade": grading,
    "grade": grading,
    "grade_many": grading,
}


def test_every_exported_name_is_the_object_of_its_module():
    assert sorted(real.__all__) == sorted(DEFINED)
    for name, module in DEFINED.items():
        assert getattr(real, name) is getattr(module, name)


def test_another_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="module 'real' has no attribute 'absent'"):
        real.absent  # noqa: B018


def test_the_package_alone_imports_no_torch():
    code = "import sys, real; sys.exit('torch' in sys.modules)"
    assert python("-c", code).returncode == 0
