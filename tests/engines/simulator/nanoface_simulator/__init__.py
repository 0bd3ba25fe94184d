"""A SIMULATOR of TensorRT 8.2.1 on a Jetson Nano (first words; the whole contract is stated further on)."""
from .ledger import ledger


def report():
    return ledger.report()
