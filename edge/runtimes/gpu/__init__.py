"""Networks on the board's GPU: TensorRT, and the kernel that cuts crops out of a frame that is uploaded once."""
