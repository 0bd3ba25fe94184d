// A page of OpenVtuber or DLVYF as far as its socket goes: CLIENT-LIBRARY URL TRANSPORTS, these with commas between. Prints
// a line of JSON for each thing that happens; result_data is sent with what comes as a line on standard input.
const connect = require(process.argv[2]);
const socket = connect(process.argv[3] + "/kizuna", { transports: process.argv[4].split(","), reconnectionDelay: 100 });
const say = (what, data) => console.log(JSON.stringify([what, data]));
socket.on("connect", () => {
  const engine = socket.io.engine;
  say("joined", engine.transport.name);
  engine.on("upgrade", (transport) => say("upgrade", transport.name));
});
socket.on("connect_error", (error) => say("refused", String(error.message || error)));
socket.on("error", (error) => say("refused", String(error.message || error)));
socket.on("disconnect", (why) => say("left", why));
socket.on("result_download", (data) => say("result_download", data));
socket.on("nanoface_event", (data) => say("nanoface_event", data));
require("readline").createInterface({ input: process.stdin })
  .on("line", (text) => socket.emit("result_data", JSON.parse(text)))
  .on("close", () => process.exit(0));
