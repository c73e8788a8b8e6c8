"""What Doorward's own record says about one client. Nothing here is the client's word.

The record (`doorward audit search --json`) has no entry for documents that anybody may read, so that a client found its way is seen by where it
arrives: a client that asks for consent under an id of this gateway, or under an address of its own, has read them.
"""

import json
import re
import subprocess

PORT = re.compile(r"^(http://(?:127\.0\.0\.1|localhost|\[::1\])):\d+")
STARTS = ("initialize", "server/discover")


class Record:
    """The record of the gateway that the commands of `doorward` mean."""

    def __init__(self, doorward):
        self.doorward = doorward

    def entries(self, after=0):
        done = subprocess.run([self.doorward, "audit", "search", "--json"], capture_output=True, text=True, check=True, timeout=30)
        return [entry for entry in map(json.loads, done.stdout.splitlines()) if entry["seq"] > after]

    def end(self):
        return max((entry["seq"] for entry in self.entries()), default=0)

    def grants(self):
        done = subprocess.run([self.doorward, "--json", "grant", "list"], capture_output=True, text=True, check=True, timeout=30)
        return json.loads(done.stdout)["grants"]

    def revoke(self, grant):
        subprocess.run([self.doorward, "--quiet", "grant", "revoke", grant], check=True, timeout=30)


def without_port(address):
    """Ports differ in each run; an address that is compared has none."""
    return PORT.sub(r"\1:<port>", address)


def reasons(entries):
    return [entry.get("reason") for entry in entries]


def clients(entries):
    """Ids under which somebody was asked for consent, in order, each once."""
    return list(dict.fromkeys(entry["client"] for entry in entries if entry.get("reason") == "consent_shown"))


def registered_by(client):
    """An id that this gateway made holds a registration; a URL is the client's own document."""
    if client.startswith("dwc_"):
        return "DCR"
    return "CIMD" if client.startswith("https://") else "unknown"


def completed(entries):
    """Requests that were let in, done and answered: revision and method, in order."""
    done = {entry["intent"] for entry in entries if entry["kind"] == "outcome" and entry.get("class") == "completed"}
    return [(entry["era"], entry["method"]) for entry in entries if entry["kind"] == "intent" and entry["seq"] in done]


def connected(entries):
    """What the first phase of a client left on the record."""
    ids = clients(entries)
    said = reasons(entries)
    asked = said.index("consent_shown") if "consent_shown" in said else None
    given = [entry for entry in entries if entry.get("reason") == "consent_given"]
    calls = completed(entries)
    methods = [method for _, method in calls]
    granted, answers_to = [], None
    if given:
        cause = given[-1]["cause"]
        granted = cause.split(": ", 1)[1].split(", answer to ")[0].split()
        answers_to = without_port(cause.split(", answer to ", 1)[1])
    return {
        "registers": list(dict.fromkeys(registered_by(one) for one in ids)),
        "registrations": len(ids),
        "client_ids": [one for one in ids if one.startswith("https://")],
        "challenged": asked is not None and "no_credential" in said[:asked],
        "pages": said.count("consent_shown"),
        "granted": granted,
        "answers_to": answers_to,
        "revisions": sorted({era for era, _ in calls}),
        "starts": [method for method in dict.fromkeys(methods) if method in STARTS],
        "steps": {
            "discovery": asked is not None,
            "registration": bool(ids) and all(registered_by(one) != "unknown" for one in ids),
            "consent": bool(given),
            "token": "tokens_issued" in said,
            "start": any(method in STARTS for method in methods),
            "list": "tools/list" in methods,
            "call": "tools/call" in methods,
        },
    }


def refreshed(entries):
    """Whether new tokens were taken for a refresh token, and served."""
    said = reasons(entries)
    if "tokens_refreshed" not in said:
        return False
    return bool(completed(entries[said.index("tokens_refreshed"):]))


def stepped_up(entries):
    """Whether it was told that a call needs more, asked the person for that, and was served."""
    said = reasons(entries)
    if "tokens_issued" not in said or "consent_shown" not in said:
        return False
    return "tools/call" in [method for _, method in completed(entries[said.index("tokens_issued"):])]


def after_revocation(entries):
    """What a client did when its consent had ended: what it was told, whether it asked the person anew, whether that helped."""
    said = reasons(entries)
    told = [entry["reason"] for entry in entries if entry["kind"] == "refused"]
    tried = any(entry["kind"] == "event" and entry.get("cause") == "token endpoint" for entry in entries)
    asked = "consent_shown" in said
    recovered = False
    if "tokens_issued" in said:
        recovered = bool(completed(entries[said.index("tokens_issued"):]))
    served = completed(entries[: said.index("consent_shown")] if asked else entries)
    return {"told": sorted(set(told)), "tried_to_refresh": tried, "asked_again": asked, "recovered": recovered, "served": len(served)}


def given_back(entries):
    """RFC 7009: whether the client itself ended what it had."""
    return any(reason in ("consent_revoked_by_client", "token_revoked") for reason in reasons(entries))
