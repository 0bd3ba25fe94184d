"""The build step: from upstream weights to ONNX files (and, on the board, TensorRT plans)."""
