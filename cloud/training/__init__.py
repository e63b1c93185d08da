"""Training: labelled windows from the lake, candidates, an honest judge, bundles in ONNX."""
