"""The two kinds of clients, as the run sees them: a program that is started for each step, and a library with a small program around it.

Each client has four steps: `connect` (find, register, ask, list, call), `refresh` (its access token is spoiled where it keeps it, or given up
by it; then a call), `more` (a call that needs a scope that it was not given) and `again` (a call after the consent has ended). A step answers what the client printed, `{"tools": n, "text": ...}`.
"""

import fcntl
import json
import os
import pathlib
import pty
import queue
import re
import struct
import subprocess
import termios
import threading

LIMIT = 120
TOKEN = re.compile(rb"dwat_[A-Za-z0-9_-]{20,}")
# Nothing is asked outside of this computer: no updates, no telemetry, and a way out that leads nowhere.
QUIET = {
    "CI": "1",
    "DO_NOT_TRACK": "1",
    "NO_UPDATE_NOTIFIER": "1",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}


class NotOffered(Exception):
    """A step that this client has no way to do, with the reason."""


class Failed(Exception):
    """A step that went wrong, with what the client said."""


class House:
    """Where a run keeps things: the address, the browser, the node, a folder for each client."""

    def __init__(self, url, scratch, node, opener):
        self.url, self.scratch, self.node, self.opener = url, pathlib.Path(scratch), node, opener

    def home(self, name):
        home = self.scratch / f"home-{name}"
        home.mkdir(mode=0o700, exist_ok=True)
        return home

    def environment(self, home, **more):
        """Of this computer's own environment nothing but the way to programs: a client sees no account and no key."""
        path = f"{pathlib.Path(self.opener).parent}:{pathlib.Path(self.node).parent}:{os.environ['PATH']}"
        return {"PATH": path, "HOME": str(home), "BROWSER": self.opener, "TMPDIR": str(home), **QUIET, **more}


def spoil(folder):
    """Changes the last characters of every access token in the files of a folder. How many there were."""
    count = 0
    for file in pathlib.Path(folder).rglob("*"):
        if not file.is_file() or file.is_symlink() or file.stat().st_size > 1 << 20:
            continue
        old = file.read_bytes()
        new = TOKEN.sub(lambda found: found[0][:-4] + (b"AAAA" if not found[0].endswith(b"AAAA") else b"BBBB"), old)
        if new != old:
            count += 1
            file.write_bytes(new)
    return count


def tail(text):
    """The end of what a program said, without what differs in each run: ports, times, ids, addresses with a query."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    text = re.sub(r"(https?://[^\s?#\"']+)[?#]\S*", r"\1", text)
    text = re.sub(r"(127\.0\.0\.1|localhost|\[::1\]):\d+", r"\1:<port>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "<time>", text)
    text = re.sub(r"\S{60,}", "...", text)
    return " ".join(text.split())[-300:]


def run(command, environment, *, limit=LIMIT, stdin=None, cwd=None):
    """One program to its end, within the limit; everything it started ends with it."""
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, text=True, errors="replace", start_new_session=True,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        out, err = process.communicate(stdin, timeout=limit)
    except subprocess.TimeoutExpired:
        end(process)
        out, err = process.communicate()
        raise Failed(f"nothing within {limit} s: {tail(out + err)}") from None
    return process.returncode, out, err


def run_in_terminal(command, environment, *, limit=LIMIT, cwd=None):
    """One program to its end, on a terminal of its own; what it printed."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
    process = subprocess.Popen(command, env=environment, cwd=cwd, stdin=far, stdout=far, stderr=far, start_new_session=True)
    os.close(far)
    timer = threading.Timer(limit, end, [process])
    timer.start()
    text = b""
    try:
        while piece := os.read(near, 65536):
            text += piece
    except OSError:
        # The other side of a terminal that is gone.
        pass
    finally:
        timer.cancel()
        os.close(near)
    end(process)
    return process.wait(), text.decode(errors="replace")


def end(process):
    """Ends a program of ours and its children: they have a group of their own."""
    for sign in (15, 9):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        try:
            process.wait(5)
            return
        except subprocess.TimeoutExpired:
            continue


class Client:
    """One client. `stage` says where it is driven: `ci` in every run, `all` where somebody asks for it."""

    name = package = stage = ""
    # What it said once its consent had ended, and the command that its user gives it then.
    said = again_by = None
    # Whether it is driven to a call that needs a scope that it was not given: where a program of this repository can make it.
    asks_for_more = False
    # Why a step cannot be driven, where the client says nothing itself: step -> reason.
    reasons: dict = {}

    def __init__(self, house, places):
        self.house, self.places = house, places
        self.home = house.home(self.name)

    def connect(self):
        raise NotImplementedError

    def refresh(self):
        if spoil(self.home) == 0:
            raise Failed("no access token was found where the client keeps it")
        return self.again()

    def again(self):
        return self.connect()

    def give_back(self):
        raise NotOffered("it has no command for it")

    def close(self):
        pass


class Library(Client):
    """A library, with a program of this repository around it that does one step for each word that it reads."""

    def command(self):
        raise NotImplementedError

    def connect(self):
        self.process = subprocess.Popen(
            self.command(), env=self.house.environment(self.home, **self.variables()), text=True, errors="replace", start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.house.scratch / f"{self.name}.err", "w", encoding="utf-8"),
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        return self._step("connect")

    def variables(self):
        return {}

    def refresh(self):
        return self._step("refresh")

    def more(self):
        return self._step("more")

    def again(self):
        return self._step("again")

    def close(self):
        if hasattr(self, "process"):
            self.process.stdin.close()
            end(self.process)

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(line)
        self.lines.put(None)

    def _step(self, word):
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
            line = self.lines.get(timeout=LIMIT)
        except queue.Empty:
            raise Failed(f"{word}: nothing within {LIMIT} s") from None
        except BrokenPipeError:
            line = None
        if line is None:
            error = (self.house.scratch / f"{self.name}.err").read_text(errors="replace")
            raise Failed(f"{word}: it ended: {tail(error)}")
        answer = json.loads(line)
        if "not_offered" in answer:
            raise NotOffered(answer["not_offered"])
        if "error" in answer:
            raise Failed(answer["error"])
        return answer
