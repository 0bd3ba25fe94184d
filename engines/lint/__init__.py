"""What TensorRT 8.2 would say to a graph, told without it."""
