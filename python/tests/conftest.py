"""What the tests share."""

import pytest

import sheafdb


@pytest.fixture
def con():
    """A database in memory."""
    with sheafdb.connect() as connection:
        yield connection
