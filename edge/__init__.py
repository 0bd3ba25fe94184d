"""nanoface: where a face is, how the head is turned, where the eyes look, thirty times a second."""

__version__ = "0.1.0"
