"""What the tensors of each network mean: which crop goes in, which values come out."""
