"""A mail server and a program that listens, in a process of its own: what notices are really sent to.

`python -m tests.integration.notice_receivers LOG` prints `SMTP_PORT HTTP_PORT` and appends what comes in to LOG, one JSON
a line. The path of a call says how the program behaves: /ok, /moved, /gone, /slow, and /flaky-N (fails N times first).
"""

import json
import socketserver
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar


class Log:
    """The file that the test reads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, **entry: object) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()


class SmtpSession(socketserver.StreamRequestHandler):
    """Just enough of RFC 5321 to take a message."""

    log: Log

    def handle(self) -> None:
        self._say("220 sink")
        receivers: list[str] = []
        while line := self.rfile.readline():
            verb = line.decode(errors="replace").strip()
            if verb.upper().startswith(("EHLO", "HELO", "MAIL", "RSET", "NOOP")):
                self._say("250 ok")
            elif verb.upper().startswith("RCPT"):
                if "refused@" in verb:
                    self._say("550 no such person here")
                    continue
                receivers.append(verb.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            elif verb.upper() == "DATA":
                self._say("354 go on")
                self.log.write(kind="mail", to=receivers, text=self._message())
                receivers = []
                self._say("250 taken")
            elif verb.upper() == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("502 what?")

    def _message(self) -> str:
        lines: list[str] = []
        while (line := self.rfile.readline().decode(errors="replace").rstrip("\r\n")) != ".":
            lines.append(line.removeprefix(".") if line.startswith("..") else line)
        return "\n".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class Program(BaseHTTPRequestHandler):
    """A program behind a webhook."""

    log: Log
    failures: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self._status()
        headers = {name: value for name, value in self.headers.items() if name.startswith("Drumbeat")}
        self.log.write(kind="call", path=self.path, status=status, headers=headers, body=body.decode())
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _status(self) -> int:
        if self.path == "/slow":
            time.sleep(0.3)
        if self.path.startswith("/flaky-"):
            self.failures[self.path] += 1
            return 503 if self.failures[self.path] <= int(self.path.partition("-")[2]) else 204
        return {"/moved": 302, "/gone": 410}.get(self.path, 204)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def main(log_file: str) -> None:
    log = Log(Path(log_file))
    SmtpSession.log = Program.log = log
    smtp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), SmtpSession)
    smtp.daemon_threads = True
    program = ThreadingHTTPServer(("127.0.0.1", 0), Program)
    for server in (smtp, program):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(smtp.server_address[1], program.server_address[1], flush=True)
    sys.stdin.read()  # until the test goes away


if __name__ == "__main__":
    main(sys.argv[1])
