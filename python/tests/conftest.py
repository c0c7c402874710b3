"""What the tests share."""

import pytest

import sheafdb


@pytest.fixture
def con():
    """A database in memory."""
    with sheafdb.connect() as connection:
        yield connection


@pytest.fixture(autouse=True)
def doctest_output(doctest_namespace):
    """The docstrings' examples begin with nothing."""
    doctest_namespace.clear()
