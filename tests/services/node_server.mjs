// A server in JavaScript for the tests of sidecars, with nothing but Node's own modules.
//
//     PORT=5001 node node_server.mjs
//
// listens on HOST and PORT, or on the socket that was handed over (LISTEN_FDS, as systemd does). `/health` and `/work` answer with the
// process id, `/crash` ends the process. `NEEDS` names a module that is imported first.

import { createServer } from "node:http";

const FIRST_SOCKET = 3;

const { NEEDS, HOST = "127.0.0.1", PORT = "5001", LISTEN_PID } = process.env;
if (NEEDS) {
  await import(NEEDS);
}

const server = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  if (path === "/crash") {
    throw new TypeError("Cannot read properties of undefined (reading 'name')");
  }
  const isKnown = path === "/health" || path === "/work";
  response.writeHead(isKnown ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify({ pid: process.pid, node: process.version }));
});

const isHanded = LISTEN_PID === String(process.pid);
server.listen(isHanded ? { fd: FIRST_SOCKET } : { host: HOST, port: Number(PORT) }, () => console.log("ready to serve"));
