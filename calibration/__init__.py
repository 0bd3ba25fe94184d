"""What is measured once: a head for the pose, layers to keep in FP32, the fit of the estimate. No run imports it."""
