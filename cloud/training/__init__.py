"""Trains models on labelled windows from the lake, judges them, and releases ONNX bundles."""
