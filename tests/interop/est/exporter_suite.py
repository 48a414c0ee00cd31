#!/usr/bin/env python3
"""openssl s_server as the EST server of a client of ours over TLS 1.3: the linking value in our request is the tls-exporter
channel binding (RFC 9266) that s_server prints for its own end. No code of ours says what it should be."""
import base64
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "faults"))
from common import IMPRINT, Site, check, finish, openssl, scratch  # noqa: E402

WISH_FOR_LINK = bytes.fromhex("300b06092a864886f70d010907")  # csrattrs: the OID of challengePassword


class Server:
    """s_server, with its standard input as what it sends and its output as what it got."""

    def __init__(self, site):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.got = b""
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-naccept", "1", "-tls1_3", "-cert", site.data / "tls" / "chain.pem",
             "-cert_chain", site.data / "tls" / "chain.pem", "-key", site.data / "tls" / "key.pem", "-keymatexport",
             "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while part := self.process.stdout.read1(65536):
            self.got += part

    def wait_for(self, pattern):
        for _ in range(1000):
            if match := re.search(pattern, self.got, re.S):
                return match
            time.sleep(0.02)
        return None

    def send(self, status, body=b""):
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/pkcs7-mime\r\nContent-Length: {len(body)}\r\n\r\n"
        self.process.stdin.write(head.encode() + body)
        self.process.stdin.flush()

    def stop(self):
        self.process.kill()
        self.process.wait()


def challenge_of(csr, work):
    (work / "csr.der").write_bytes(csr)
    text = openssl("asn1parse", "-inform", "DER", "-in", work / "csr.der").stdout.decode()
    match = re.search(r"challengePassword.*?(?:PRINTABLESTRING|UTF8STRING)\s*:(\S+)", text, re.S)
    return match.group(1) if match else None


def main():
    with scratch("exporter") as folder:
        work = Path(folder)
        site = Site(work / "site")
        certificates = openssl("crl2pkcs7", "-nocrl", "-certfile", site.anchors, "-outform", "DER").stdout
        (work / "token").write_text("any-token-that-nobody-looks-at-0123456789\n")
        server = Server(site)
        server.wait_for(rb"ACCEPT")
        client = subprocess.Popen([IMPRINT, "onboard", "est", "--server", f"https://localhost:{server.port}", "--anchors", site.anchors,
                                   "--user", "dev-1", "--password-file", work / "token", "--subject", "CN=dev-1", "--attempts", "1",
                                   "--out", work / "dev-1"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            check("our client speaks TLS 1.3 to it", server.wait_for(rb"Keying material:\s*[0-9A-F]{64}"), server.got)
            check("it asks for the CA certificates", server.wait_for(rb"GET \S*/cacerts HTTP"), server.got)
            server.send("200 OK", base64.b64encode(certificates))
            check("and for csrattrs, on the same connection", server.wait_for(rb"GET \S*/csrattrs HTTP"), server.got)
            server.send("200 OK", base64.b64encode(WISH_FOR_LINK))
            post = server.wait_for(rb"POST \S*/simpleenroll HTTP.*?\r\n\r\n([A-Za-z0-9+/\n]{200,}=*\n)")
            if check("and enrols", post, server.got):
                exported = re.search(rb"Keying material:\s*([0-9A-F]{64})", server.got).group(1)
                wanted = base64.b64encode(bytes.fromhex(exported.decode())).decode()
                got = challenge_of(base64.b64decode(post.group(1)), work)
                check("its linking value is the tls-exporter of that connection", got == wanted, f"{got} is not {wanted}")
            server.send("400 Bad Request")
            check("and it takes the refusal", client.wait(timeout=20) != 0, client.returncode)
        finally:
            client.kill()
            server.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
