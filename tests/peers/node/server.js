// A server as OpenVtuber's and DLVYF's, on the socket.io that is named: what comes as result_data to /kizuna goes to all others
// there as result_download. At the port that is named, or any; prints it, then a line of JSON for each thing that happens.
const http = require("http").createServer();
const library = require(process.argv[2]);
const io = library.Server ? new library.Server(http) : library(http);
const say = (what, data) => console.log(JSON.stringify([what, data]));
io.of("/kizuna").on("connection", (socket) => {
  say("joined", socket.conn.protocol);
  socket.on("result_data", (data) => {
    say("result_data", data);
    if (data != 0) socket.broadcast.emit("result_download", data);
  });
  socket.on("nanoface_event", (data) => say("nanoface_event", data));
  socket.on("disconnect", () => say("left", null));
});
http.listen(Number(process.argv[3] || 0), "127.0.0.1", () => say("port", http.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
