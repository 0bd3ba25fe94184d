"""A header and its data, which a reader can take at any moment: also while they are written, and after a kill."""
from edge.outputs.files.file import LineFile, write_whole
from edge.outputs.kinds import OutputSpec
from edge.ssi.header import DATA


class Pair:
    """All methods raise OutputError. What was there before stays until begin()."""

    def __init__(self, spec: OutputSpec) -> None:
        self._spec = spec
        self._data_path = spec.target + DATA
        self._data = LineFile(spec._replace(target=self._data_path), whole=True)
        self.began = False

    def prove(self) -> None:
        """That both can be written."""
        write_whole(self._spec, self._spec.target, None)
        write_whole(self._spec, self._data_path, None)

    def begin(self, header: bytes) -> None:
        self.head(header)
        self._data.open()
        self._data.write_bytes(b"")
        self.began = True

    def head(self, header: bytes) -> None:
        """The header by this one, at once."""
        write_whole(self._spec, self._spec.target, header)

    def write(self, piece: bytes) -> None:
        """Behind the data."""
        self._data.write_bytes(piece)

    def replace(self, data: bytes) -> None:
        """All of the data by these, at once; nothing is written behind them."""
        self.close()
        write_whole(self._spec, self._data_path, data)

    def close(self) -> None:
        self._data.close()
