"""Assertions in support.py say what the values were, as those in tests do."""

import pytest

pytest.register_assert_rewrite("support")
