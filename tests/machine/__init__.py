"""The state machine."""

import pytest

# It asserts, but is no test module.
pytest.register_assert_rewrite("tests.machine.machine")
