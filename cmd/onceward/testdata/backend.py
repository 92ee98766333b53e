"""A backend in Python. POST counts and acts; the path says whether the first
request of an operation waits for /release before it acts, or before it
answers. It knows what it has done by operation id, as docs/proxy.md asks.
"""
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {}  # operation id -> what became of it
fence = {}  # operation id -> highest token that asked or acted
waiting = []


def wait():
    go = threading.Event()
    with lock:
        waiting.append(go)
    go.wait()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def text(self, status, body="", **headers):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        token = int(self.headers.get("Onceward-Token", 0))
        with lock:
            if self.path == "/seen":
                self.text(200, json.dumps([{"op": op, **s} for op, s in seen.items()]))
                return
            op = self.path.removeprefix("/status/")
            fence[op] = max(token, fence.get(op, 0))
            s = seen.get(op)
        if s is None or not s["acts"]:
            self.text(404)
        else:
            self.text(200, s["answer"], Onceward_Original_Status="201")

    def act(self, op, s, body):
        token = int(self.headers["Onceward-Token"])
        with lock:
            if token < fence.get(op, 0):
                return False
            fence[op] = token
            s["acts"] += 1
            s["tokens"].append(str(token))
            s["attempts"].append(self.headers["Onceward-Attempt"])
            s["answer"] = f"done {body} {s['acts']}"
            return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/release":
            with lock:
                for go in waiting:
                    go.set()
                waiting.clear()
            self.text(200, "released")
            return
        op = self.headers["Onceward-Operation-Id"]
        with lock:
            s = seen.setdefault(op, {"arrivals": 0, "acts": 0, "answered": 0, "tokens": [], "attempts": [], "answer": ""})
            s["arrivals"] += 1
            first = s["arrivals"] == 1
        if first and self.path == "/wait-then-act":
            wait()
        acted = self.act(op, s, body)
        if first and self.path == "/act-then-wait":
            wait()
        try:
            if acted:
                self.text(201, s["answer"])
                s["answered"] += 1
            else:
                self.text(409, "fenced")
        except OSError:
            pass  # the gateway was killed


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"listening http://127.0.0.1:{server.server_address[1]}", flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()  # not longer than the test
os._exit(0)
