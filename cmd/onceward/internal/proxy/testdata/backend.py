"""A backend in Python: POST counts and acts, in a way the path chooses.

It knows what it has done by operation id, as docs/proxy.md asks.
"""
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
seen = {}  # operation id -> acts, tokens, attempts, answer
fence = {}  # operation id -> highest token that asked or acted
released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body="", **headers):
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
                self.reply(200, json.dumps([{"op": op, **s} for op, s in seen.items()]))
                return
            op = self.path.removeprefix("/status/")
            fence[op] = max(token, fence.get(op, 0))
            known = seen.get(op)
        if known is None:
            self.reply(404)
        else:
            self.reply(200, known["answer"], Onceward_Original_Status="201")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/release":
            released.set()
            self.reply(200, "released")
            return
        op = self.headers["Onceward-Operation-Id"]
        token = int(self.headers["Onceward-Token"])
        with lock:
            if token < fence.get(op, 0):
                self.reply(409, "fenced")
                return
            fence[op] = token
            s = seen.setdefault(op, {"acts": 0, "tokens": [], "attempts": [], "answer": ""})
            s["acts"] += 1
            s["tokens"].append(str(token))
            s["attempts"].append(self.headers["Onceward-Attempt"])
            s["answer"] = f"done {body} {s['acts']}"
            answer, first = s["answer"], s["acts"] == 1
        if self.path == "/act-then-wait" and first:
            released.wait(60)
        try:
            self.reply(201, answer)
        except OSError:
            pass  # the gateway was killed


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"listening http://127.0.0.1:{server.server_address[1]}", flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()  # not longer than the test
os._exit(0)
