#!/usr/bin/env python3
"""What `imprint compare` and `imprint explain` make of a real site's runs: a registrar, a MASA, and devices that come through, are held, refused, or
wait. The store is read with sqlite3 where a run has to be one and not many."""
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from airgap_suite import NO_LOG, manifest_of  # noqa: E402
from onboarding_suite import serial  # noqa: E402
from players import Maker, Owner  # noqa: E402
from resale_suite import begin, by_hand, masa, wait_for  # noqa: E402
from common import check, finish, imprint, must, scratch  # noqa: E402

QUICK = {"IMPRINT_POLICY_RETRY_AFTER_S": "1", "IMPRINT_EST_COAPS": "127.0.0.1:0"}


def compare(owner, *more):
    return json.loads(must("compare", "--json", "--protocol", "brski", "--data", owner.data, *more))


def columns(table):
    return {c["mode"]: c["run"] for c in table["columns"]}


def cell(table, mode, name, area="measured"):
    at = [c["mode"] for c in table["columns"]].index(mode)
    return next(row["cells"][at]["measured"] for row in table["rows"] if row["area"] == area and name in ("", row["name"]))


def outcome(table, device):
    return next(((r["result"], r["rule"], r["run"]) for r in table["not_through"] if r["device"] == device), None)


def story(owner, run):
    return json.loads(must("compare", "--json", "--run", run, "--data", owner.data))


def settled(owner, sql, wanted):
    """Runs are written along with others, or a tenth of a second later."""
    end = time.monotonic() + 10
    while owner.query(sql)[0][0] != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return owner.query(sql)[0][0] == wanted


def through(work, owner, devices):
    """One over HTTPS, one over CoAPS: each is one run."""
    done = owner.take(devices[0], work / "https")
    check("a device comes over HTTPS", done.returncode == 0, done.stderr)
    done = owner.take(devices[1], work / "coaps", registrar=f"coaps://127.0.0.1:{owner.coaps_port}")
    check("and one over CoAPS", done.returncode == 0, done.stderr)
    check("the registrar has each of their requests on record", settled(owner, "SELECT count(*) FROM runs", 8), owner.query("SELECT mode, result FROM runs"))
    table = compare(owner)
    told = {mode: (run["device"], run["told_by"]) for mode, run in columns(table).items() if run}
    check("in the table each is one run of its mode", told == {"https": (devices[0].name, "registrar"), "coaps": (devices[1].name, "registrar")}, told)
    for mode in told:
        check(f"{mode}: with the requests that anybody can count", cell(table, mode, "round trips") == ["at least 4"], cell(table, mode, "round trips"))
        check(f"{mode}: and nothing that only the device can know", cell(table, mode, "bytes") == ["not measured"])
        steps = " > ".join(cell(table, mode, "", "processes"))
        check(f"{mode}: its steps are those of the registrar and of EST, in their order", all(w in steps for w in ("registrar Fetching", "FetchingLog",
              "EST server Admitting, Issuing", "registrar Ending")) and steps.index("Fetching") < steps.index("Issuing") < steps.index("Ending"), steps)
        knows = " | ".join(cell(table, mode, "", "owner's knowledge"))
        check(f"{mode}: what the owner came to know has its reasons", all(w in knows for w in ("configured by the operator", "is mine, says its maker",
              "RFC 5280", "RFC 2986", "given: voucher for", "by which it reports")), knows)
        check(f"{mode}: one success is on record", cell(table, mode, "on record") == ["1 operational"], cell(table, mode, "on record"))
    est = json.loads(must("compare", "--json", "--protocol", "est", "--data", owner.data))
    check("EST's part of it is no run of EST's", not any(columns(est).values()), columns(est))
    return table


def text(owner, devices):
    said = must("compare", "--data", owner.data)
    head = said[:said.index("\nSources")]
    check("as text: what there are runs of comes first", head.index("brski https") < head.index("est certificate"), head)
    check("no row only says that nothing was measured", "not measured" not in head and "imprint compare --with" in head, head)
    check("no line is longer than 120 columns", max(map(len, said.splitlines())) <= 120)
    word = must("explain", "voucher", "--data", owner.data)
    check("explain shows where the registrar had a voucher", "registrar Fetching" in word and "brski https" in word and "brski coaps" in word, word)
    told = json.loads(must("explain", "status telemetry", "--json", "--data", owner.data))
    states = {r["mode"]: [s["state"] for s in r["steps"]] for r in told["runs"]}
    check("as JSON: both reports of each device", states == dict.fromkeys(("https", "coaps"), ["registrar Recalling", "registrar Ending"]), told["runs"])


def story_of_one(owner, table):
    parts = [row[0] for row in owner.query(f"SELECT id FROM runs WHERE device = '{columns(table)['https']['device']}' ORDER BY started, id")]
    whole = [story(owner, part) for part in parts]
    check("each of its four requests leads to the same story", len(parts) == 4 and {s["run"] for s in whole} == {parts[0]}, [s["run"] for s in whole])
    check("which went well", whole[0]["result"] == "operational" and whole[0]["round_trips"] == 4, whole[0]["result"])
    check("and whose beliefs stand, down to their grounds", whole[0]["sound"] and len(whole[0]["beliefs"]) >= 7, whole[0]["beliefs"])
    check("among them that who reports has what the owner's CA gave", any("Imprint Owner CA" in b["seen"]["what"] and b["topic"] == "peer"
          for b in whole[0]["beliefs"]), [b["seen"]["what"] for b in whole[0]["beliefs"]])


def own_stories(work, owner, maker, device):
    """A device that its maker sends here: only it can tell."""
    masa(maker, "device", "owner", serial(device), "--registrar", f"https://{owner.registrar}")
    done = owner.take(device, work / "cloud", "--cloud", f"https://localhost:{maker.port}", "--cloud-anchors", maker.root, "--redirect-inside")
    check("a device comes by way of its maker's registrar", done.returncode == 0, done.stderr)
    settled(owner, f"SELECT count(*) FROM runs WHERE device = '{device.name}'", 4)
    check("to its owner's it is like any other", cell(compare(owner), "https", "on record") == ["2 operational"])
    table = compare(owner, "--with", work / "cloud", "--with", work / "https" / "run.json")
    told = {mode: (run["device"], run["told_by"]) for mode, run in columns(table).items() if run}
    check("its own story says how it came, and is told in place of the registrar's", told.get("cloud") == (device.name, "pledge") and
          told["https"][1] == "pledge" and told["coaps"][1] == "registrar", told)
    check("the two of one onboarding are counted once", cell(table, "cloud", "on record") == cell(table, "https", "on record") == ["1 operational"],
          (cell(table, "cloud", "on record"), cell(table, "https", "on record")))
    check("with what only the device knows", cell(table, "cloud", "bytes") != ["not measured"] and
          any("(first contact" in b or "(proved" in b for b in cell(table, "cloud", "", "imparted knowledge")), cell(table, "cloud", "", "imparted knowledge"))
    word = must("explain", "proximity", "--data", owner.data, "--with", work / "https")
    check("explain takes it as well", "Signing" in word, word)
    missing = imprint("compare", "--with", work / "nobody", "--data", owner.data)
    check("a story that is not there is an error", missing.returncode != 0 and "CLI-FILE" in missing.stderr, missing.stderr)


def not_through(work, owner, second, maker, devices, stranger):
    """One with a past, one that is sold to somebody else, one that nobody has approved."""
    held, refused = devices
    done = second.take(held, work / "before")
    check("a device belongs to somebody else first", done.returncode == 0, done.stderr)
    masa(maker, "device", "release", serial(held))
    masa(maker, "device", "transfer", serial(refused), "--to", "second")
    client = begin(owner, held, work / "held")
    asked = f"SELECT json_extract(summary, '$.counts.round_trips') FROM runs WHERE rule = 'BRSKI-EST-HELD' AND device = '{held.name}'"
    wait_for(client, lambda: (owner.query(asked) or [(0,)])[0][0] >= 3)
    owner.take(refused, work / "refused")
    owner.take(refused, work / "refused")
    new = begin(owner, stranger, work / "new")
    again = owner.take(stranger, work / "late", "--timeout", "2")
    told = json.loads((work / "late" / "run.json").read_text())
    check("a device that took too long has its story all the same", again.returncode == 5 and (told["result"], told["mode"]) == ("waiting", "https"),
          (again.returncode, told.get("result")))
    rows = "SELECT json_extract(summary, '$.counts.round_trips') FROM runs WHERE result = 'pending' AND rule = 'SITE-WAITING'"
    wait_for(new, lambda: (owner.query(rows) or [(0,)])[0][0] >= 4)
    new.kill()
    new.communicate()
    check("a device that waits has one run, which counts how often it asked", len(owner.query(rows)) == 1 and owner.query(rows)[0][0] >= 4, owner.query(rows))
    check("so has one that is held", len(owner.query(asked)) == 1 and owner.query(asked)[0][0] >= 3, owner.query(asked))
    table = compare(owner)
    name = owner.query("SELECT device FROM runs WHERE rule = 'SITE-WAITING'")[0][0]
    check("held is called held, with the rule", (outcome(table, held.name) or [])[:2] == ("held", "BRSKI-LOG-DOMAIN"), table["not_through"])
    check("refused is called refused", (outcome(table, refused.name) or [])[:2] == ("refused", "BRSKI-MASA-REFUSED"), table["not_through"])
    check("waiting is called waiting", (outcome(table, name) or [])[:2] == ("waiting", "SITE-WAITING"), table["not_through"])
    check("and none of them is a success", columns(table)["https"]["device"] not in (held.name, refused.name, name), columns(table))
    check("all are counted", cell(table, "https", "on record") == ["2 operational, 1 held, 1 refused, 1 waiting"], cell(table, "https", "on record"))
    said = must("compare", "--data", owner.data)
    check("as text each is named", all(w in said for w in ("Not through", f"{held.name} ", " held ", "BRSKI-LOG-DOMAIN", " waiting ", "SITE-WAITING")),
          said[said.find("Not through"):][:3000])
    told = must("compare", "--run", outcome(table, held.name)[2], "--data", owner.data)
    check("the story of the one that is held says what was found and what to do", "held by BRSKI-LOG-DOMAIN" in told and
          "ask who had it before" in told and "asked again" in told, told[-1500:])
    must("device", "clear", held.name, "--reason", "bought", "--data", owner.data)
    client.communicate(timeout=60)
    check("cleared, it comes through", client.returncode == 0)
    settled(owner, f"SELECT count(*) FROM runs WHERE device = '{held.name}' AND mode = 'enrolment status'", 1)
    table = compare(owner)
    check("and its one run is a success", outcome(table, held.name) is None and columns(table)["https"]["device"] == held.name and
          cell(table, "https", "on record") == ["3 operational, 1 refused, 1 waiting"], (columns(table), cell(table, "https", "on record")))
    return table


def incomplete(work, owner, device):
    """A device that takes its voucher and is not heard of again."""
    by_hand(work, owner, device)
    settled(owner, f"SELECT count(*) FROM runs WHERE device = '{device.name}'", 2)
    table = compare(owner)
    check("one that does not come again is incomplete", (outcome(table, device.name) or [])[:2] == ("incomplete", ""), table["not_through"])
    check("and no success", cell(table, "https", "on record") == ["3 operational, 1 incomplete, 1 refused, 1 waiting"], cell(table, "https", "on record"))


def nonceless(work, maker, device):
    """A site that fetched its vouchers beforehand."""
    owner = Owner(work / "north")
    owner.knows(maker, rule=f'voucher_anchors = ["{maker.name}/tls.pem"]\n')
    owner.wants(device.parent)
    masa(maker, "customer", "add", "north", "--certificate", owner.anchors)
    masa(maker, "device", "transfer", serial(device), "--to", "north")
    must("voucher", "fetch", "--manifest", manifest_of(device), serial(device), "--data", owner.data)
    maker.stop()
    owner.start(env=QUICK | NO_LOG, log=work / "north.log")
    try:
        done = owner.take(device, work / "nonceless")
        check("a device comes while its MASA is away", done.returncode == 0, done.stderr)
        settled(owner, f"SELECT count(*) FROM runs WHERE device = '{device.name}'", 4)
        table = compare(owner)
        check("its run is one without a nonce", {m: r["device"] for m, r in columns(table).items() if r} == {"nonceless": device.name}, columns(table))
    finally:
        owner.stop()


def main():
    with scratch("compare") as folder:
        work = Path(folder)
        owner, second = Owner(work / "a"), Owner(work / "b")
        maker = Maker(work, "lamps", owner_data=owner.data)
        devices = maker.make(7)
        maker.start()
        for name, site in (("first", owner), ("second", second)):
            masa(maker, "customer", "add", name, "--certificate", site.anchors)
            site.knows(maker)
            site.wants(devices[0].parent)
            site.start(env=QUICK, log=work / f"{name}.log")
        try:
            table = through(work, owner, devices)
            text(owner, devices)
            story_of_one(owner, table)
            own_stories(work, owner, maker, devices[2])
            stranger = maker.make(1, first=50)[0]
            not_through(work, owner, second, maker, devices[3:5], stranger)
            incomplete(work, owner, devices[5])
            said = imprint("compare", "--json", "--data", maker.masa_folder)
            check("a MASA has no runs on record, and is called by its name", said.returncode == 0 and "MASA" in said.stderr and
                  not any(c["run"] for c in json.loads(said.stdout)["columns"]), said.stderr)
            nonceless(work, maker, devices[6])
        finally:
            for site in (owner, second):
                site.stop()
            maker.stop()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
