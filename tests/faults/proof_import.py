"""kill -9 of an import at thirty random moments: the lake is that of one clean run."""

from tests.faults.import_kills import kill_and_compare

KILLS = 30


def test_the_lake_is_that_of_a_clean_run(tmp_path):
    killed, progress = kill_and_compare(tmp_path, KILLS)
    print(f"{killed} of {KILLS} killed; landing files after each five: {progress}")
    assert killed > KILLS / 2
    assert len(set(progress)) > 2  # kills hit while files were written
