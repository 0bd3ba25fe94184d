"""The home of threads: links of one frame, workers, and the run from start to stop."""
