"""The threads of a run: links of one frame, workers, and the run from start to stop."""
