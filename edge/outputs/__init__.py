"""One wire format a file: a pure encoder of the frame record and a thin sender."""
