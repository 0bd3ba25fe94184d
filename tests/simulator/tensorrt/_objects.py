"""What all objects of the bindings have in common: no attributes but those they have, and no construction by name."""
import warnings


class Bound:
    """An object of the library that only the library makes."""

    __slots__ = ("__weakref__",)

    def __init__(self, *args, **kwargs):
        raise TypeError("{}: No constructor defined!".format(type(self).__name__))

    @classmethod
    def make(cls, **fields):
        made = cls.__new__(cls)
        for name, value in fields.items():
            setattr(made, name, value)
        return made


class Scoped(Bound):
    """One that can stand in a with statement, which does nothing in 8.2."""

    __slots__ = ()

    def __enter__(self):
        warnings.warn("Context managers for TensorRT types are deprecated. Memory will be freed automatically when the "
                      "reference count reaches 0.", DeprecationWarning, stacklevel=2)
        return self

    def __exit__(self, exc_type, exc_value, traceback):
        return None


def _refuse(name):
    def method(self, *args, **kwargs):
        raise TypeError("'IHostMemory' object does not support {}".format(name))
    return method


class IHostMemory(bytearray):
    """Bytes of the library: bytes(memory), file.write(memory) and memory.nbytes, nothing else of a bytearray."""

    @property
    def nbytes(self):
        return bytearray.__len__(self)

    __len__, __iter__, __getitem__, __setitem__ = (_refuse(n) for n in ("len()", "iteration", "indexing", "item assignment"))
    __add__, __iadd__, __delitem__, __contains__ = (_refuse(n) for n in ("addition", "addition", "item deletion", "in"))
    append, extend, clear, decode, hex = (_refuse(n) for n in ("append", "extend", "clear", "decode", "hex"))
    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other

    def __ne__(self, other):
        return self is not other

    def __bool__(self):
        return True

    def __repr__(self):
        return "<tensorrt.tensorrt.IHostMemory object at {:#x}>".format(id(self))

    __str__ = __repr__

    def __enter__(self):
        return Scoped.__enter__(self)

    def __exit__(self, *exception):
        return None
