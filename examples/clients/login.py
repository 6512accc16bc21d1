"""What the Python samples have in common: where to, and the answers to the two questions.

PASSWORD_FILE and SECRET_FILE name files with the password and the secret in base32, mode 0600.
"""

import os
import sys
from pathlib import Path

from totp import totp

# To the letter: whoever answers what merely looks like a question gives passwords away.
ANSWERS = {
    "Password: ": lambda: read("PASSWORD_FILE"),
    "Verification code: ": lambda: totp(read("SECRET_FILE")),
}


def read(variable: str) -> str:
    return Path(os.environ[variable]).read_text().splitlines()[0]


def arguments() -> tuple[str, str, int, str]:
    """user, host, port and command."""
    if len(sys.argv) != 3 or "@" not in sys.argv[1]:
        sys.exit(f"usage: {sys.argv[0]} USER@HOST[:PORT] COMMAND")
    user, _, place = sys.argv[1].rpartition("@")
    host, _, port = place.partition(":")
    return user, host, int(port or 22), sys.argv[2]


class Login:
    """Answers each question once: the same one again means that the first answer was refused."""

    def __init__(self):
        self.left = dict(ANSWERS)

    def answer(self, prompts: list[str]) -> list[str]:
        for prompt in prompts:
            if prompt not in self.left:
                raise PermissionError(f"the server asks {prompt[:60]!r}, which is not answered")
        return [self.left.pop(prompt)() for prompt in prompts]
