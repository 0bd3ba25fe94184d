"""One process for all live outputs of a run: sender.py is the tracker's end, process.py what runs there."""
