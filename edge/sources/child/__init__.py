"""The process that reads a live device, and what is said between it and the tracker."""
