"""What TensorRT 8.2 would do with a graph, found without it."""
