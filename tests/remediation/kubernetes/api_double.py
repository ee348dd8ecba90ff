"""An API server of a few lines that has one Deployment and misbehaves on request; what a real one never does when asked."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.services.kube_cluster import deployment

OK, LOST, SLOW, DRIP, GARBAGE = "ok", "lost", "slow", "drip", "garbage"


class ApiDouble:
    """`faults` holds what happens to the next writes, or to all calls when `everything` is set: a status or a word."""

    def __init__(self):
        self.faults, self.everything, self.writes, self.url = [], None, 0, ""
        thing = deployment("shop", "web")
        thing["metadata"] |= {"uid": "0123456789abcdef", "generation": 1, "resourceVersion": "1"}
        thing["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
        self.thing = self.rolled_out(thing)

    def rolled_out(self, thing):
        replicas = thing["spec"]["replicas"]
        names = ("replicas", "updatedReplicas", "availableReplicas")
        generation = thing["metadata"]["generation"]
        return {**thing, "status": {"observedGeneration": generation, **dict.fromkeys(names, replicas)}}

    def call(self, method, path, query, body):
        if method == "GET" and path.endswith("/deployments/web"):
            return 200, self.thing
        if method == "GET":
            return (200, {"items": []}) if "web" not in path else (404, {"message": "not found"})
        if body["metadata"]["resourceVersion"] != self.thing["metadata"]["resourceVersion"]:
            return 409, {"message": "the object has been modified"}
        metadata = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
        metadata["resourceVersion"] = str(int(body["metadata"]["resourceVersion"]) + 1)
        kept = self.rolled_out({**body, "metadata": metadata})
        if "dryRun" not in query:
            self.thing, self.writes = kept, self.writes + 1
        return 200, kept

    def fault(self, method, query):
        if self.everything is not None:
            return self.everything
        return self.faults.pop(0) if self.faults and method == "PUT" and "dryRun" not in query else OK


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: ApiDouble

    def do_GET(self):
        self.answer("GET")

    def do_PUT(self):
        self.answer("PUT")

    def answer(self, method):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        fault = self.double.fault(method, query)
        if isinstance(fault, int):
            self.send(fault, json.dumps({"message": "as the test wants it"}).encode())
            return
        status, found = self.double.call(method, url.path, query, body)
        if fault == LOST:
            self.close_connection = True
            return
        if fault == SLOW:
            time.sleep(1.0)
        self.send(status, b"<html>" if fault == GARBAGE else json.dumps(found).encode(), drip=fault == DRIP)

    def send(self, status, data, *, drip=False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        step = 1 if drip else len(data)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            time.sleep(0.05 if drip else 0)

    def log_message(self, *_):
        """Say nothing."""

    def handle(self):
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the caller has gone


@contextmanager
def serve_api():
    double = ApiDouble()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"double": double}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
