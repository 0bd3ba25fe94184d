"""Converters to ONNX that need neither torch, TensorFlow nor MXNet."""
