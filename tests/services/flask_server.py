"""A Flask server for the tests of sidecars: it works, and it misbehaves as its environment or a request says.

    PORT=5001 python flask_server.py

listens on `HOST` and `PORT`, or on the socket that was handed over (`LISTEN_FDS`, as systemd does). What it does at its start:

| variable        | meaning                                                                                       |
|-----------------|-----------------------------------------------------------------------------------------------|
| `STARTS_FILE`   | a file to which each start adds a line                                                        |
| `CRASH_STARTS`  | how many of the first starts in that file end with an exception before anything is listened to |
| `START_DELAY`   | seconds before it listens                                                                     |
| `NEVER_LISTENS` | it runs and does nothing                                                                      |
| `ALSO_BINDS`    | another port that it needs                                                                    |
| `HEALTH_STATUS` | what its health route answers                                                                 |
| `IGNORES_TERM`  | it ignores SIGTERM                                                                            |
| `GRANDCHILDREN` | how many processes it forks that leave its session, ignore SIGTERM, and say who they are       |
| `SAYS`          | a line for its standard error, as it is                                                       |

| route                       | what it does                                                                            |
|-----------------------------|-----------------------------------------------------------------------------------------|
| `/health`                   | says that it is well, or what it was told to                                            |
| `/work`                     | answers who worked, or hangs when it was told to                                        |
| `/echo/...`                 | any method: says what came                                                              |
| `/slow?ms=500`              | answers later                                                                           |
| `/stream?pieces=3&ms=100`   | answers in pieces                                                                       |
| `/status/418`               | answers with that status                                                                |
| `POST /crash?code=3`        | ends the process                                                                        |
| `POST /leak?mb=100`         | takes memory and keeps it                                                               |
| `POST /fork?count=1`        | forks as `GRANDCHILDREN` does                                                           |
| `POST /flood?bytes=1&line=80` | writes to standard error: lines of that many bytes, in all about so many             |
| `POST /invalid-utf8`        | writes bytes that are no text to standard output and standard error                     |
| `POST /behave`              | `{"work_hangs": true, "health_hangs": true, "health_status": 500}`, each until it is told otherwise |

Needs Flask and flask-cors.
"""

import os
import signal
import socket
import subprocess
import sys
import time

from flask import Flask, Response, jsonify, request
from flask_cors import CORS
from werkzeug.serving import make_server

FIRST_SOCKET = 3
"""Where a process finds the first socket that is handed to it."""

GRANDCHILD = """
import os, signal, time
if os.fork():
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.write(1, str(os.getpid()).encode())
os.close(1)
time.sleep(3600)
"""
"""It leaves the group and the session of its parent, which is gone at once."""

app = Flask(__name__)
CORS(app)
behaviour = {"work_hangs": False, "health_hangs": False, "health_status": int(os.environ.get("HEALTH_STATUS", "200"))}
grandchildren: list[int] = []
kept: list[bytearray] = []
starts = 0


@app.get("/health")
def health():
    if behaviour["health_hangs"]:
        time.sleep(3600)
    status = behaviour["health_status"]
    return jsonify(status="healthy" if status < 400 else "failing", starts=starts), status


@app.route("/work", methods=["GET", "POST"])
def work():
    if behaviour["work_hangs"]:
        time.sleep(3600)
    return jsonify(pid=os.getpid(), instance=os.environ.get("INSTANCE"), starts=starts, grandchildren=grandchildren)


@app.route("/echo/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@app.route("/echo/<path:path>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def echo(path):
    headers = {name.lower(): value for name, value in request.headers.items()}
    handed = {name: os.environ.get(name) for name in ("LISTEN_FDS", "LISTEN_PID", "PORT", "FLASK_PORT", "HOST", "GREETING")}
    body = request.get_data()
    answer = jsonify(
        method=request.method,
        path=path,
        full_path=request.full_path,
        headers=headers,
        body=body.decode("utf-8", "replace"),
        bytes=len(body),
        environment=handed,
        pid=os.getpid(),
        folder=os.getcwd(),
    )
    answer.headers["X-Echo"] = "flask"
    return answer


@app.get("/slow")
def slow():
    time.sleep(request.args.get("ms", 500, int) / 1000)
    return jsonify(pid=os.getpid())


@app.get("/stream")
def stream():
    count, pause = request.args.get("pieces", 3, int), request.args.get("ms", 100, int) / 1000

    def pieces():
        for number in range(count):
            yield f"piece {number}\n"
            time.sleep(pause)

    return Response(pieces(), mimetype="text/plain")


@app.get("/status/<int:status>")
def status(status):
    return jsonify(error="as it was asked for"), status


@app.post("/crash")
def crash():
    sys.stderr.write("Fatal error: it was asked to\n")
    sys.stderr.flush()
    os._exit(request.args.get("code", 3, int))


@app.post("/leak")
def leak():
    # Zeros would cost nothing before they are written to.
    kept.append(bytearray(b"x") * (request.args.get("mb", 100, int) << 20))
    return jsonify(kept=sum(map(len, kept)))


@app.post("/fork")
def fork():
    return jsonify(grandchildren=forked(request.args.get("count", 1, int)))


@app.post("/flood")
def flood():
    wanted, length = request.args.get("bytes", 1000, int), request.args.get("line", 80, int)
    block = (b"x" * (length - 1) + b"\n") * max(1, min(wanted, 1 << 20) // length)
    written = 0
    while written < wanted:
        sys.stderr.buffer.write(block)
        written += len(block)
    sys.stderr.buffer.write(b"the flood is over\n")
    sys.stderr.buffer.flush()
    return jsonify(written=written)


@app.post("/invalid-utf8")
def invalid_utf8():
    for stream in (sys.stdout, sys.stderr):
        stream.buffer.write(b"before \xff\xfe\xc3 after caf\xc3\xa9\n\x00\x1b[31m\n")
        stream.buffer.flush()
    return jsonify(written=True)


@app.post("/behave")
def behave():
    behaviour.update(request.get_json())
    return jsonify(behaviour)


def forked(count: int) -> list[int]:
    """Starts so many grandchildren; their process ids."""
    commands = [[sys.executable, "-c", GRANDCHILD] for _ in range(count)]
    answers = [subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout for command in commands]
    grandchildren.extend(map(int, answers))
    return grandchildren


def counted() -> int:
    """The number of this start."""
    file = os.environ.get("STARTS_FILE")
    if not file:
        return 1
    with open(file, "a+") as opened:
        opened.write("start\n")
        opened.seek(0)
        return len(opened.readlines())


def main() -> None:
    global starts
    environment = os.environ
    starts = counted()
    if "IGNORES_TERM" in environment:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "SAYS" in environment:
        print(environment["SAYS"], file=sys.stderr, flush=True)
    forked(int(environment.get("GRANDCHILDREN", "0")))
    if starts <= int(environment.get("CRASH_STARTS", "0")):
        raise RuntimeError(f"start {starts} fails, as it was told to")
    if "ALSO_BINDS" in environment:
        socket.socket().bind(("127.0.0.1", int(environment["ALSO_BINDS"])))
    time.sleep(float(environment.get("START_DELAY", "0")))
    if "NEVER_LISTENS" in environment:
        time.sleep(3600)
    handed = FIRST_SOCKET if environment.get("LISTEN_PID") == str(os.getpid()) else None
    host, port = environment.get("HOST", "127.0.0.1"), int(environment.get("PORT", "5001"))
    server = make_server(host, port, app, threaded=True, fd=handed)
    print(f"serving on http://{host}:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
