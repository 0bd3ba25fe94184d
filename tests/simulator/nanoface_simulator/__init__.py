"""A SIMULATOR of TensorRT 8.2.1 and pycuda on a Jetson Nano, for tests on a machine without a GPU: what `tensorrt` and
`pycuda.driver` beside it stand on. README.md, one folder up, says what it keeps, what is guessed, and what can be asked of it.
"""
from .ledger import ledger


def report():
    """Plain data: violations, counts, what is alive, contexts not popped, and "clean", which is the verdict."""
    return ledger.report()


def reset():
    """For the next test in one process: no violations, no counts, no failed device. What is alive stays so."""
    from .contexts import driver

    ledger.clear()
    driver.reset()
