"""The frame record, the table of output kinds, one kind a file, and the thread in front of each output."""
