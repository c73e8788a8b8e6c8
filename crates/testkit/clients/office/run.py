"""Drives clients through the front office, one after the other, and writes what Doorward's record says of each as JSON.

  run.py OUT ci|all [ONLY]     the places are in the environment: URL, SCRATCH, NODE, OPENER, DOORWARD, and PLACES as JSON

A client that does less than the last time is not judged here: page.py compares with what is written down.
"""

import json
import os
import re
import sys
import time

import record
from shelf import CLIENTS, TEXT
from steps import Failed, House, NotOffered


UNSEEN = "not seen on the record"
# Within this time a consent that was revoked is dead everywhere.
DEAD = 5.5


def phase(client, step, book):
    """One step, with what it left on the record. The answer, or why there is none."""
    before = book.end()
    try:
        answer = getattr(client, step)()
        problem = None
        if answer is not None and answer.get("text") != TEXT:
            problem = f"the tool said {answer.get('text')!r}"
    except NotOffered as why:
        answer, problem = None, why
    except Failed as why:
        answer, problem = None, why
    return answer, problem, book.entries(before)


def first(client, book):
    """Everything up to a refresh. What the client was given stays."""
    answer, problem, entries = phase(client, "connect", book)
    seen = record.connected(entries)
    row = {"client": client.name, "package": client.package, "stage": client.stage, "version": (answer or {}).get("version"), **seen}
    row["not_offered"] = sorted(client.reasons)
    row["why"] = {step: client.reasons.get(step) or str(problem or UNSEEN) for step, done in row["steps"].items() if not done}
    given = [grant for grant in book.grants() if grant["client"] in record.clients(entries)]
    row["registered_as"] = given[0]["name"] if given else None
    if row["steps"]["token"]:
        _, problem, entries = phase(client, "refresh", book)
        row["steps"]["refresh"] = record.refreshed(entries)
        if not row["steps"]["refresh"]:
            lacks(row, "refresh", problem)
        if client.asks_for_more:
            _, problem, entries = phase(client, "more", book)
            row["steps"]["more"] = record.stepped_up(entries)
            if not row["steps"]["more"]:
                lacks(row, "more", problem)
    return row


def lacks(row, step, problem):
    """A step that is not there, and why."""
    row["why"][step] = str(problem or UNSEEN)
    if isinstance(problem, NotOffered):
        row["not_offered"].append(step)


def second(client, row, book):
    """What it does without the consent that it had, and whether it gives one back."""
    if not row["steps"]["token"]:
        return
    _, problem, entries = phase(client, "again", book)
    row["revoked"] = record.after_revocation(entries)
    row["says"] = client.said or (str(problem) if problem else None)
    # Whether it came back by itself, or because its user said so.
    row["again_by"] = client.again_by
    if row["revoked"]["recovered"]:
        _, problem, entries = phase(client, "give_back", book)
        row["steps"]["gives_back"] = record.given_back(entries)
        if not row["steps"]["gives_back"]:
            lacks(row, "gives_back", problem or "its command ends well, and nothing came here")


def told(row, took):
    done = [step for step, yes in row["steps"].items() if yes]
    print(f"{row['client']} {row['version']} ({took}): {', '.join(done)}", flush=True)
    for step, reason in row["why"].items():
        print(f"  not {step}: {reason}", flush=True)


def main(out, stage, only=""):
    variable = os.environ.__getitem__
    house = House(variable("URL"), variable("SCRATCH"), variable("NODE"), variable("OPENER"))
    book = record.Record(variable("DOORWARD"))
    places = json.loads(variable("PLACES"))
    chosen = [kind for kind in CLIENTS if kind.stage == "ci" or stage == "all"]
    chosen = [kind(house, places) for kind in chosen if re.search(only, kind.name, re.IGNORECASE)]
    rows = []
    try:
        for client in chosen:
            begun = time.monotonic()
            rows.append(first(client, book))
            told(rows[-1], f"{time.monotonic() - begun:.0f} s")
        for grant in book.grants():
            book.revoke(grant["id"])
        # The gateway was told by another process: what it still knows is five seconds old at most.
        time.sleep(DEAD)
        for number, (client, row) in enumerate(zip(chosen, rows), 1):
            second(client, row, book)
            # What is whole is kept, should a later client hold everything up.
            with open(out, "w", encoding="utf-8") as file:
                json.dump(rows[:number], file, indent=1, ensure_ascii=False)
                file.write("\n")
    finally:
        for client in chosen:
            client.close()


main(*sys.argv[1:])
