"""Runs a command over SSH with password and code, by paramiko. The host has to be in ~/.ssh/known_hosts.

usage: log_in_with_paramiko.py USER@HOST[:PORT] COMMAND     (and see login.py)
"""

import shutil
import socket
import sys
from pathlib import Path

import paramiko

from login import Login, arguments


def main() -> int:
    user, host, port, command = arguments()
    with socket.create_connection((host, port)) as connection:
        # Not SSHClient: it answers the first question with the password, whatever it says.
        transport = paramiko.Transport(connection)
        try:
            transport.start_client()
            check_host(transport, host, port)
            login = Login()
            transport.auth_interactive(user, lambda _title, _text, prompts: login.answer([p for p, _ in prompts]))
            return run(transport, command)
        finally:
            transport.close()


def check_host(transport, host, port):
    known = paramiko.HostKeys(str(Path.home() / ".ssh/known_hosts"))
    name = host if port == 22 else f"[{host}]:{port}"
    if not known.check(name, transport.get_remote_server_key()):
        sys.exit(f"{name}: its host key is not in ~/.ssh/known_hosts")


def run(transport, command) -> int:
    with transport.open_session() as channel:
        channel.set_combine_stderr(True)
        channel.exec_command(command)
        shutil.copyfileobj(channel.makefile("rb"), sys.stdout.buffer)
        return channel.recv_exit_status()


sys.exit(main())
