"""The bench of forecasts with tiny counts: how large the figures are is not judged here."""

import json
import sys
from pathlib import Path

import pytest

from bench import predict


@pytest.mark.broker
def test_bench_predict_prints_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    # in this environment: one of the edge's own would be fetched; the seconds count from the spawn
    arguments = ["--python", sys.executable, "--steps", "20", "--seconds", "12"]
    assert predict.main([*arguments, "--folder", str(tmp_path)]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(figures) == [
        *("rss_onnx_mb", "predict_p50_us", "predict_p99_us"),
        *("predict_blend_p50_us", "predict_blend_p99_us"),
    ]
    assert 20 < figures["rss_onnx_mb"] < 1000
    assert 0 < figures["predict_p50_us"] <= figures["predict_p99_us"]
    assert 0 < figures["predict_blend_p50_us"] <= figures["predict_blend_p99_us"]
    assert list(tmp_path.iterdir()) == []


def test_a_python_that_cannot_run_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--python", "/bin/false", "--steps", "5", "--seconds", "0"]
    assert predict.main([*arguments, "--folder", str(tmp_path)]) == 1
    assert "bench-predict: bench.inference exited with code 1" in capsys.readouterr().err
