import { expect, test } from "bun:test";
import { join } from "node:path";
import { appendEntry, hashOf } from "../../../engine/journal/audit.ts";
import { Journal } from "../../../engine/journal/journal.ts";
import { auditOf, verifyAudit } from "../../../engine/journal/verify.ts";
import { Secrets } from "../../../engine/secrets.ts";
import { type Harness, withHarness } from "../run/harness.ts";

const TWO = "steps: [{id: look, fake.look: {}}, {id: a, fake.act: {}}]\n";

/** Three runs, of which the second failed and was undone, and one that a gate refused. */
async function filled(h: Harness): Promise<void> {
  await h.run(TWO);
  h.on = {
    b: () => {
      throw new Error("it broke");
    },
  };
  await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]\n");
  h.on = {};
  await h.run(TWO);
  await h.run(`summary: A test.\nrisk: disruptive\n${TWO}`).catch(() => {});
}

const kinds = (h: Harness) =>
  h.journal.db
    .query<{ entry: string }, []>("SELECT entry FROM audit ORDER BY seq")
    .all()
    .map(({ entry }) => (JSON.parse(entry) as { kind: string }).kind);

test("each run, its end and each refusal is an entry; the envelope has the last one of its run", () =>
  withHarness(async (h) => {
    await filled(h);
    expect(kinds(h)).toEqual([
      "begins",
      "began",
      "ended",
      "began",
      "ended",
      "began",
      "ended",
      "refused",
    ]);
    const audit = verifyAudit(h.journal.db);
    expect(audit).toMatchObject({ entries: 8, count: 0, problems: [] });
    expect(audit.head).toMatch(/^[0-9a-f]{64}$/);
    const ran = await h.run(TWO);
    const [began, ended] = auditOf(h.journal.db, "run-5");
    expect(began).toMatchObject({
      kind: "began",
      about: { runbook: "demo/one", target: "drill", by: { caller: { name: "test" } } },
    });
    expect(ended).toMatchObject({ kind: "ended", about: { status: "ok", exit: 0 } });
    expect(ran.run["audit"]).toEqual({ entry: ended!["entry"]!, head: ended!["head"]! });
  }));

test("what was said to the gates is on record, and which policy was in force", () =>
  withHarness(async (h) => {
    const text = `summary: A test.\nrisk: disruptive\n${TWO}`;
    await h.run(text, { asked: { confirm: async () => true } });
    await h.run(text, { flags: { yes: true } });
    const said = (run: string) =>
      (auditOf(h.journal.db, run)[0]!["about"] as { said: unknown }).said;
    expect(said("run-1")).toEqual({ flags: {}, answered: ["disruptive"], users: [], policy: null });
    expect(said("run-2")).toEqual({ flags: { yes: true }, answered: [], users: [], policy: null });
  }));

/** Each changes one thing past pgdba. */
const TAMPERED: Record<string, [sql: string, told: RegExp]> = {
  "an entry is rewritten": [
    `UPDATE audit SET entry = replace(entry, '"test"', '"alice"') WHERE seq = 2`,
    /hash of entry 2 /,
  ],
  "an entry is rewritten with its own hash": ["-- see below", /hash of entry 5 /],
  "an entry is deleted": ["DELETE FROM audit WHERE seq = 3", /After entry 2 comes 4/],
  "an entry is deleted, and the others close ranks": [
    "DELETE FROM audit WHERE seq = 3; UPDATE audit SET seq = seq - 1 WHERE seq > 3",
    /hash of entry 3 /,
  ],
  "the first entries are deleted": ["DELETE FROM audit WHERE seq < 4", /After entry 0 comes 4/],
  "the last entry of a run is deleted": [
    "DELETE FROM audit WHERE seq > 5",
    /Run run-3 was inserted, or its entries deleted/,
  ],
  "an entry is inserted": [
    "INSERT INTO audit SELECT 9, run, NULL, replace(entry, '\"seq\":2', '\"seq\":9'), hash FROM audit WHERE seq = 2",
    /hash of entry 9 /,
  ],
  "the row of an entry names another run": [
    "UPDATE audit SET run = 'run-3' WHERE seq = 2",
    /row of entry 2 does not say/,
  ],
  "a run is rewritten": [
    `UPDATE run SET params = '{"table":"other"}' WHERE id = 'run-1'`,
    /Run run-1 was rewritten: it did not begin/,
  ],
  "the documents of a run are rewritten": [
    `UPDATE run SET docs = replace(docs, 'fake.act', 'fake.look') WHERE id = 'run-1'`,
    /Run run-1 was rewritten: it did not begin/,
  ],
  "the end of a run is rewritten": [
    `UPDATE run SET status = 'ok', exit = 0, error = NULL WHERE id = 'run-2'`,
    /Run run-2 was rewritten: it did not end/,
  ],
  "a run is deleted": ["DELETE FROM run WHERE id = 'run-2'", /Run run-2 is gone/],
  "a run is inserted": [
    "INSERT INTO run SELECT 'run-0', runbook, digest, docs, params, target, risk, plan, holder, status, exit, started_at, finished_at, duration_ms, cancelled, unwinding, output, error, view, judged FROM run WHERE id = 'run-1'",
    /Run run-0 was inserted/,
  ],
  "whose process a run was is rewritten": [
    `UPDATE run SET holder = json_set(holder, '$.user', 'alice') WHERE id = 'run-1'`,
    /User, machine and process of run run-1 were rewritten/,
  ],
  "an answer is put into a person's mouth": [
    "INSERT INTO answer (run, path, said, at, holder) VALUES ('run-1', 'a', 'done', '', '{}')",
    /What people said of the steps of run run-1 /,
  ],
  "the table of the audit is dropped": ["DROP TABLE audit", /All of the audit is gone/],
  "a step is rewritten": [
    `UPDATE step SET result = replace(result, 'ok', 'no') WHERE run = 'run-1' AND path = 'a'`,
    /steps of run run-1 /,
  ],
  "a step is deleted": [
    "DELETE FROM step WHERE run = 'run-3' AND path = 'look'",
    /steps of run run-3 /,
  ],
  "a step is inserted": [
    "INSERT INTO step (run, path, id, type, phase, status, started_at) VALUES ('run-3', 'x', 'x', 'exec', 'main', 'ok', '')",
    /steps of run run-3 /,
  ],
};

for (const [what, [sql, told]] of Object.entries(TAMPERED)) {
  test(`it is found when ${what}`, () =>
    withHarness(async (h) => {
      await filled(h);
      const { db } = h.journal;
      db.exec("PRAGMA foreign_keys = OFF");
      if (sql.startsWith("--")) rewriteWithHash(db, 4);
      else db.exec(sql);
      const { problems, count } = verifyAudit(db);
      expect(count).toBeGreaterThan(0);
      expect(problems.join("\n")).toMatch(told);
    }));
}

test("a resume that was refused takes nothing from what is known of the run", () =>
  withHarness(async (h) => {
    await filled(h);
    const { db } = h.journal;
    h.journal.audit({ kind: "refused", at: "2026-01-01T00:00:00Z", run: "run-1", about: {} });
    expect(verifyAudit(db).problems).toEqual([]);
    db.exec("UPDATE run SET exit = 3 WHERE id = 'run-1'");
    expect(verifyAudit(db).problems).toEqual([expect.stringContaining("did not end as")]);
  }));

type Db = Harness["journal"]["db"];

/** Whoever knows how hashes are made rewrites one entry, and its hash. */
function rewriteWithHash(db: Db, seq: number): void {
  const of = (at: number) =>
    db
      .query<{ entry: string; hash: string }, [number]>("SELECT * FROM audit WHERE seq = ?")
      .get(at)!;
  const entry = of(seq).entry.replace('"test"', '"alice"');
  expect(entry).not.toBe(of(seq).entry);
  db.query("UPDATE audit SET entry = ?, hash = ? WHERE seq = ?").run(
    entry,
    hashOf(of(seq - 1).hash, entry),
    seq,
  );
}

test("a chain that was written anew as a whole is sound, and only a head that was kept shows it", () =>
  withHarness(async (h) => {
    await filled(h);
    const { db } = h.journal;
    const kept = verifyAudit(db).head!;
    expect(verifyAudit(db, kept.slice(0, 16)).found).toMatchObject({ entry: 8 });
    const entries = db
      .query<{ run: string | null; entry: string }, []>("SELECT run, entry FROM audit ORDER BY seq")
      .all()
      .map(({ run, entry }) => ({ run, entry: entry.replace('"test"', '"alice"') }));
    db.exec("DELETE FROM audit");
    let before = "";
    entries.forEach(({ run, entry }, at) => {
      const hash = hashOf(before, entry);
      db.query("INSERT INTO audit VALUES (?, ?, NULL, ?, ?)").run(at + 1, run, entry, hash);
      before = hash;
    });
    expect(verifyAudit(db)).toMatchObject({ entries: 8, count: 0 });
    expect(verifyAudit(db, kept).found).toBeNull();
  }));

test("the chain of an older journal begins with an entry for each of its runs, and holds from then on", () =>
  withHarness(async (h) => {
    await filled(h);
    h.on = { a: () => h.journal.db.exec("PRAGMA query_only = ON") as never };
    await h.run("steps: [{id: a, fake.act: {}}]\n");
    const { db } = h.journal;
    db.exec("PRAGMA query_only = OFF; DROP TABLE audit; PRAGMA user_version = 7");
    const stateDir = join(h.dir, "state");
    expect(verifyAudit(db)).toMatchObject({ entries: 0, head: null });
    new Journal(stateDir, new Secrets()).close();
    expect(kinds(h)).toEqual(["begins", "earlier", "earlier", "earlier", "earlier"]);
    expect(verifyAudit(db).count).toBe(0);
    // The last one is open: how it ends may still be written.
    db.exec("UPDATE run SET status = 'failed' WHERE id = 'run-4'");
    expect(verifyAudit(db).count).toBe(0);
    db.exec("UPDATE run SET status = 'failed' WHERE id = 'run-1'");
    expect(verifyAudit(db).problems).toEqual([
      "Run run-1 was rewritten: it did not end as its record says",
    ]);
  }));

test("an approval begins one run", () =>
  withHarness(async (h) => {
    const about = { at: "2026-01-01T00:00:00.000Z", run: null, about: {} };
    appendEntry(h.journal.db, { ...about, kind: "began", approval: "one" });
    expect(() => appendEntry(h.journal.db, { ...about, kind: "began", approval: "one" })).toThrow();
    expect(verifyAudit(h.journal.db)).toMatchObject({ entries: 2, count: 0 });
  }));

test("a run whose begin is not on record is not in the audit either, and neither is its end", () =>
  withHarness(async (h) => {
    await h.run(TWO);
    const { db } = h.journal;
    db.exec(
      "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'full'); END",
    );
    await expect(h.run(TWO)).rejects.toMatchObject({ code: "journal_failed" });
    expect(h.journal.run("run-2")).toBeUndefined();
    expect(verifyAudit(db)).toMatchObject({ entries: 3, count: 0 });
  }));

test("a run that reads goes on where the journal can't be written, and has no entry", () =>
  withHarness(async (h) => {
    const journal = Journal.forReads("/dev/null/nowhere", new Secrets());
    expect(journal.lost).not.toBeNull();
    journal.audit({ kind: "refused", at: "", run: null, about: {} });
    expect(journal.audited).toBeNull();
    expect(verifyAudit(journal.db)).toMatchObject({ entries: 0, count: 0 });
    journal.close();
    expect(h.calls).toEqual([]);
  }));

test("secrets are masked in it as everywhere", () =>
  withHarness(async (h) => {
    h.secrets.add("hunter2hunter2");
    h.journal.audit({
      kind: "refused",
      at: "2026-01-01T00:00:00.000Z",
      run: null,
      about: { why: "hunter2hunter2 is no table" },
    });
    const { entry } = h.journal.db
      .query<{ entry: string }, []>("SELECT entry FROM audit ORDER BY seq DESC")
      .get()!;
    expect(entry).not.toContain("hunter2");
    expect(verifyAudit(h.journal.db).count).toBe(0);
  }));
