"""A SIMULATOR of pycuda 2022.1 for tests without a GPU: pycuda.driver as far as nanoface uses it, and nothing else."""
VERSION = (2022, 1)
VERSION_STATUS = ""
VERSION_TEXT = "2022.1"
