#!/usr/bin/env python3
"""A syslog that keeps what comes: authpriv.py SOCKET FILE."""

import os
import re
import socket
import sys
import time

path, kept = sys.argv[1:]
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(path)
os.chmod(path, 0o666)
with open(kept, "w", buffering=1) as log:
    while True:
        line = server.recv(65536).decode(errors="replace").rstrip("\0\n")
        line = re.sub(r"^<\d+>(\w{3} [ \d]\d \d\d:\d\d:\d\d )?", "", line)
        print(time.strftime("%b %d %H:%M:%S"), "clean", line, file=log)
