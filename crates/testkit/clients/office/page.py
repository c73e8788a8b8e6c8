"""docs/clients.md from what runs saw, and whether a run saw what is written down.

  page.py OUT [--bless]     OUT is what run.py wrote. Without --bless: fails where a row or the page differs. With it: writes both.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SEEN = HERE / "seen.json"
PAGE = HERE.parents[3] / "docs" / "clients.md"

HEAD = """# Clients

Public MCP clients, unmodified, against a gateway in laptop mode with nothing configured. `scripts/oauth` starts each, plays the person in
Chromium, and reads what happened from Doorward's own record; this page is written from that (`scripts/oauth --all --bless`), and nothing
on it was put there by hand but this text and the reasons why something could not be driven. CI drives the first part in every run and
fails where it sees anything else than what stands here.

**yes** was seen on the record. **no** was tried, and not seen. **-** is not offered by the client, or could not be driven without a person
at a screen; the reason is below.
"""

LEGEND = """
- *Found*: it came to the page of consent, after it had been refused without a credential (401), or by the well-known addresses alone.
  *Registers*: DCR is registration by RFC 7591, CIMD a client id that is the address of a document; the documents are those of the
  built-in catalogue, since tests have no way out. *Starts*: the first method that was let in, and its revision.
- *Refresh*: its access token was spoiled where it keeps it, or its clock was put two hours ahead; it took new tokens for its refresh token
  and was served with them.
- *Asks for more*: a call that deletes something was refused (403 `insufficient_scope`) since only reading was allowed; it sent the person to
  the page again, who ticked that, and the call was served.
- *Consent ended*: `doorward grant revoke`, then the same call again.
- *Gives back*: it ends its own consent at `/oauth/revoke` (RFC 7009) where its user asks for that.
"""

COLUMNS = ["client", "version", "found", "registers", "consent", "token", "starts", "list", "call", "refresh", "asks for more", "consent ended", "gives back"]
STEPS = {"discovery": "found", "registration": "registers", "consent": "consent", "token": "token", "start": "starts", "list": "list",
         "call": "call", "refresh": "refresh", "more": "asks for more", "gives_back": "gives back"}


def mark(row, step):
    if row["steps"].get(step):
        return "yes"
    return "-" if step in row.get("not_offered", []) or step not in row["steps"] else "no"


def ended(row):
    seen = row.get("revoked")
    if seen is None:
        return "-"
    if seen["served"]:
        return "**served**"
    parts = []
    if seen["told"] or seen["tried_to_refresh"]:
        parts.append("refused")
    if seen["tried_to_refresh"]:
        parts.append("tries its refresh token")
    if row.get("again_by"):
        parts.append("stops" + (f", until {row['again_by']}" if seen["recovered"] else ""))
    elif seen["asked_again"]:
        parts.append("asks the person again" + (", is served" if seen["recovered"] else ""))
    elif parts:
        parts.append("stops")
    return "; ".join(parts) or "no call"


def line(row):
    found = ("401" if row["challenged"] else "well-known") if row["steps"]["discovery"] else mark(row, "discovery")
    registers = " or ".join(row["registers"]) if row["steps"]["registration"] else mark(row, "registration")
    starts = f"`{row['starts'][0]}` {', '.join(row['revisions'])}" if row["steps"]["start"] else mark(row, "start")
    cells = [row["client"], row["version"], found, registers, mark(row, "consent"), mark(row, "token"), starts,
             mark(row, "list"), mark(row, "call"), mark(row, "refresh"), mark(row, "more"), ended(row), mark(row, "gives_back")]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def table(rows):
    return ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS), *map(line, rows)]


def details(row):
    """What else was seen of one client."""
    said = []
    if row["registered_as"]:
        said.append(f"People see it as \"{row['registered_as']}\"; its answers go to `{row['answers_to']}`.")
    for one in row["client_ids"]:
        said.append(f"Its client id is `{one}`.")
    if row["registrations"] > 1:
        said.append(f"It registered {row['registrations']} times before it had a token.")
    if row["pages"] > 1:
        said.append(f"The page of consent was asked for {row['pages']} times.")
    if row.get("says"):
        says = row["says"].replace("`", "'")
        said.append(f"Without its consent it says: `{says}`")
    for step, why in row["why"].items():
        said.append(f"{STEPS[step].capitalize()}: {why}.")
    return said


def page(rows):
    text = [HEAD]
    for stage, title in (("ci", "## In every run of CI"), ("all", "## On request: `scripts/oauth --all`")):
        part = [row for row in rows if row["stage"] == stage]
        if part:
            text += [title, "", *table(part), ""]
            if stage == "all":
                text += ["Large downloads, long builds, or licences that are not free; they stay outside the tree. OpenCode and Claude Code call a tool because a model\n"
                         "that speaks from a script asks for it; no account and no model of anybody is used.", ""]
    text += [LEGEND.strip(), "", "## What else was seen", ""]
    for row in rows:
        said = details(row)
        if said:
            text += [f"**{row['client']}** ({row['package']}). " + " ".join(said), ""]
    return "\n".join(text).rstrip() + "\n"


def main(out, bless=""):
    new = json.loads(pathlib.Path(out).read_text(encoding="utf-8"))
    old = json.loads(SEEN.read_text(encoding="utf-8")) if SEEN.exists() else []
    fresh = {row["client"]: row for row in new}
    rows = [fresh.pop(row["client"], row) for row in old] + list(fresh.values())
    rows.sort(key=lambda row: row["stage"] != "ci")
    if bless:
        SEEN.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        PAGE.write_text(page(rows), encoding="utf-8")
        return 0
    wrong = []
    known = {row["client"]: row for row in old}
    for row in new:
        was = known.get(row["client"])
        if was is None:
            wrong.append(f"{row['client']} is not written down")
            continue
        wrong += [f"{row['client']}: {key} is {row.get(key)!r}, and was {was.get(key)!r}" for key in sorted({*row, *was}) if row.get(key) != was.get(key)]
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page(old):
        wrong.append("docs/clients.md is not what seen.json says")
    for finding in wrong:
        print(finding, file=sys.stderr)
    if wrong:
        print("see scripts/oauth --bless", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main(*sys.argv[1:]))
