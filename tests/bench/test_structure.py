"""The figures of the structure hold what the project promises of itself."""

import json

from bench import structure


def test_the_figures_are_within_their_bounds(capsys):
    assert structure.main() == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(figures) == [
        "edge_top_level_modules",
        "largest_module_lines",
        "files_for_quantity",
        "files_for_chip",
        "docs_lines_over_160",
    ]
    assert 0 < figures["edge_top_level_modules"] <= 10
    assert figures["largest_module_lines"] <= 350
    if figures["files_for_quantity"] is not None:  # else no history is there
        assert 0 < figures["files_for_quantity"] <= 4
    if figures["files_for_chip"] is not None:
        assert 0 < figures["files_for_chip"] <= 6
