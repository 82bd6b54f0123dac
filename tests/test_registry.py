import pytest

from gradprobe import registry
from gradprobe.errors import UnknownNameError


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown task 'c'; the tasks are: a, b"):
        registry.check_name("task", {"b": "x:y", "a": "x:z"}, "c")
