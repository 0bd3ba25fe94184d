"""The tests that need a real GPU are marked `device` and skipped by name where there is none."""


def pytest_configure(config):
    config.addinivalue_line("markers", "device: needs a real GPU with CUDA, skipped by name where there is none")
