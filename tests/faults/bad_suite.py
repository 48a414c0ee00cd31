#!/usr/bin/env python3
"""Requests that are wrong on purpose (tests/data/est-bad.json): each is refused with its status and rule, and leaves nothing."""
import base64
import json
import socket
import sys
from pathlib import Path

from common import Answer, Site, check, client_context, enrolment, finish, make_csr, make_key, scratch

BAD = Path(__file__).resolve().parent.parent / "data" / "est-bad.json"


def post(site, login, body):
    head = ["POST /.well-known/est/simpleenroll HTTP/1.1", "Host: localhost", "Content-Type: application/pkcs10",
            "Authorization: Basic " + base64.b64encode(":".join(login).encode()).decode(), f"Content-Length: {len(body)}", "", ""]
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
        with client_context(site.anchors).wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall("\r\n".join(head).encode() + body.encode())
            return Answer(tls)


def main():
    with scratch("bad") as folder:
        work = Path(folder)
        site = Site(work / "site")
        assert site.start(), "Bail out! the server does not start"
        try:
            login = ("dev-1", site.token("dev-1"))
            for item in json.loads(BAD.read_text(encoding="utf-8"))["items"]:
                answer = post(site, login, item["body"])
                check(f"{item['name']}: {item['status']}, {item['rule']}",
                      answer.status == item["status"] and item["rule"] in answer.text, answer)
            check("none of them left a certificate", site.certificates() == [], site.certificates())
            with socket.create_connection(("127.0.0.1", site.port), timeout=10) as raw:
                with client_context(site.anchors).wrap_socket(raw, server_hostname="localhost") as tls:
                    tls.sendall(enrolment(make_csr(make_key(work / "good.pem"), "dev-1"), login))
                    good = Answer(tls)
            check("none of them spent the token: a good request gets its certificate", good.status == 200, good)
            check("the audit log holds", site.audit_holds())
        finally:
            site.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
