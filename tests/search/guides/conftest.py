"""Guides of tokens are made with few queries where kernels are plain NumPy."""

import pytest

from cgcython import kernels
from cgcython.similarity import cell_settings, centroids


@pytest.fixture(scope="session", autouse=True)
def _few_queries_where_they_take_long():
    with pytest.MonkeyPatch.context() as patch:
        if kernels.level == "reference":
            patch.setattr(cell_settings, "QUERIES", 1)
            patch.setattr(centroids, "STEPS", 1)
        yield
