"""A Flask server that says which process it is."""

import os

from flask import Flask

app = Flask(__name__)


@app.get("/health")
@app.get("/api/work")
def work():
    return str(os.getpid())


app.run(host="127.0.0.1", port=int(os.environ["PORT"]), threaded=True)
