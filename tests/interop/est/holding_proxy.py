#!/usr/bin/env python3
"""A TCP proxy on loopback that can hold back a TLS 1.3 server's answers.

  holding_proxy.py UPSTREAM_PORT_FILE HOLD_FILE PORT_FILE

Connections go to the port that UPSTREAM_PORT_FILE names. While HOLD_FILE is there, nothing from the server passes once the
client has sent its first encrypted record: the handshake is complete and the request arrives, its answer does not."""
import os
import socket
import sys
import threading

APPLICATION_DATA = 23


def pump(source, sink, passes):
    """Bytes from one to the other; `passes` looks at them first and says whether they may go on."""
    try:
        while True:
            data = source.recv(65536)
            if not data:
                break
            if passes(data):
                sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client, port_file, hold_file):
    with open(port_file) as f:
        port = int(f.read())
    try:
        server = socket.create_connection(("127.0.0.1", port))
    except OSError:
        client.close()
        return
    asked = threading.Event()

    def from_client(data):
        if data[0] == APPLICATION_DATA or bytes([APPLICATION_DATA, 3, 3]) in data:
            asked.set()
        return True

    def from_server(_):
        return not (asked.is_set() and os.path.exists(hold_file))

    threading.Thread(target=pump, args=(client, server, from_client), daemon=True).start()
    pump(server, client, from_server)
    client.close()
    server.close()


def main():
    port_file, hold_file, own_port_file = sys.argv[1:]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with open(own_port_file + ".new", "w") as f:
            f.write(str(listener.getsockname()[1]))
        os.rename(own_port_file + ".new", own_port_file)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, port_file, hold_file), daemon=True).start()


if __name__ == "__main__":
    main()
