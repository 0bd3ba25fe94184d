"""Measures the run and reports it: status records, metrics, the service manager, the board's sensors."""
