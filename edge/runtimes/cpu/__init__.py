"""Networks on the processor: OpenVINO and ONNX Runtime."""
