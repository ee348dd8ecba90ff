"""The ranking of suspects against recorded faults with a known cause, where the data set is at hand."""

import pytest

from benchmarks.root_cause import DEFAULT_DATA, accuracy, measure


@pytest.mark.skipif(
    not DEFAULT_DATA.is_dir(), reason="no PetShop data set beside the checkout (shared/datasets/petshop)"
)
@pytest.mark.slow
def test_recorded_root_causes_are_among_the_first_suspects():
    answers = measure(DEFAULT_DATA)
    numbers = accuracy(answers)["all"]
    assert numbers["faults"] == 68
    assert numbers["top_1"] >= 0.50
    assert numbers["top_3"] >= 0.85
