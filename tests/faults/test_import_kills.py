"""kill -9 of an import at a few random moments; `make proof-import` does it thirty times."""

from tests.faults.import_kills import kill_and_compare


def test_the_lake_is_that_of_a_clean_run(tmp_path):
    killed, progress = kill_and_compare(tmp_path, kills=5)
    assert killed
    assert progress[-1] > 0
