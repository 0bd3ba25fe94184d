"""The process that reads a live device, and the messages between it and the tracker."""
