"""socket.io, of both generations in use: Engine.IO 3 (socket.io 2, DLVYF) and Engine.IO 4 (socket.io 3 and 4, OpenVtuber)."""
