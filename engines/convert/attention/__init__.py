"""The attention mesh, whose file has operators that only MediaPipe knows."""
