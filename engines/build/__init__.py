"""From an ONNX network to a TensorRT plan of this board."""
