"""Serves the Kubernetes API external.metrics.k8s.io: how many requests wait at the front doors.

The autoscaler of the burst pods asks the cluster's API server, which asks here; the number comes
from Prometheus. Only the API server is answered: it shows a certificate that its own authority has
signed.
"""

import json
import ssl
import sys
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote
from urllib.request import urlopen

GROUP = "external.metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
METRIC = "quizmentor_queue_depth"
RESOURCES: dict[str, object] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": VERSION,
    "resources": [
        {
            "name": METRIC,
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
    ],
}


def queue_depth(prometheus: str) -> float:
    """Requests that wait now; an error if Prometheus does not know."""
    with urlopen(f"{prometheus}/api/v1/query?query={quote(METRIC)}", timeout=3) as answer:
        results = json.load(answer)["data"]["result"]
    if not results:
        raise LookupError(f"Prometheus has no {METRIC}")
    return float(results[0]["value"][1])


def values(depth: float) -> dict[str, object]:
    """The API's list with the one value, in thousandths as Kubernetes writes quantities."""
    item = {
        "metricName": METRIC,
        "metricLabels": {},
        "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": f"{round(depth * 1000)}m",
    }
    return {"kind": "ExternalMetricValueList", "apiVersion": VERSION, "metadata": {}, "items": [item]}


def handler(prometheus: str) -> type[BaseHTTPRequestHandler]:
    """A handler of requests that asks this Prometheus."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            try:
                if path == f"/apis/{VERSION}":
                    self.answer(200, RESOURCES)
                elif path.startswith(f"/apis/{VERSION}/namespaces/") and path.endswith(f"/{METRIC}"):
                    self.answer(200, values(queue_depth(prometheus)))
                else:
                    self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
            except (OSError, LookupError, ValueError, KeyError) as error:
                message = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503, "message": str(error)}
                self.answer(503, message)

        def answer(self, status: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            """The API server asks every few seconds: nothing to tell."""

    return Handler


def main() -> None:
    address, port, prometheus, certificate, key, authority = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    server = ThreadingHTTPServer((address, int(port)), handler(prometheus))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


if __name__ == "__main__":
    main()
