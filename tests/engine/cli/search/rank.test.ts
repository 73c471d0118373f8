import { expect, test } from "bun:test";
import { rank, type Searched } from "../../../../engine/cli/search/rank.ts";
import { stem, stems } from "../../../../engine/cli/search/stem.ts";
import index from "../../../../runbooks/_index.json" with { type: "json" };

test.each([
  ["query", "queries"],
  ["index", "indexes"],
  ["drop", "dropping"],
  ["expire", "expired"],
  ["block", "blocked"],
  ["lock", "locks"],
  ["vacuum", "vacuuming"],
  ["replica", "replicas"],
])("%s and %s have one stem", (one, other) => expect(stem(other)).toBe(stem(one)));

test("words that say nothing are no words to look for", () =>
  expect(stems("Who blocks whom, and why?")).toEqual(["block"]));

test.each(["status", "bus", "analysis", "wal", "string"])(
  "%s is no plural and no participle",
  (word) => expect(stem(word)).toBe(word),
);

const all = Object.entries(index.documents).flatMap(([name, { runbook }]: [string, any]) =>
  runbook === undefined || runbook.part ? [] : [{ ...runbook, name } as Searched],
);
const first = (words: string, count = 3) =>
  rank(all, words.split(" "))
    .slice(0, count)
    .map(({ name }) => name);

test.each([
  ["slow queries", "query/slow-log"],
  ["read log", "log/show"],
  ["server log", "log/show"],
  ["password expired", "role/password"],
  ["integer overflow of a primary key", "sequence/widen"],
  ["connection limit of a role", "role/set"],
  ["is this index used", "index/list"],
  ["validate a foreign key", "constraint/validate"],
  ["autovacuum settings of a table", "table/set"],
  ["wraparound", "maintenance/freeze"],
  ["table bloat", "maintenance/vacuum"],
  ["rebuild an invalid index", "maintenance/reindex"],
  ["who is the leader", "failover/status"],
  ["replication lag", "cluster/status"],
  ["restore a dropped table", "backup/restore"],
  ["switch over the primary", "failover/trigger"],
  ["missing index", "query/index-suggest"],
  ["change a setting", "config/apply"],
  ["take a bakcup", "backup/create"],
  ["certificate expired", "cluster/certificates"],
  ["what is wrong", "health/check"],
  ["unused indexes", "index/drop"],
  ["shop hangs orders", "locks/tree"],
  ["dead rows never go away", "prepared/list"],
  ["too many connections for role", "role/set"],
  ["temporary files fill disk", "disk/usage"],
  ["rebuild a standby", "replica/reinit"],
  ["selects hang since the deploy", "locks/tree"],
  ["pg_wal grows", "disk/usage"],
  ["duplicate key value violates unique constraint", "sequence/catch-up"],
  ["cannot execute INSERT in a read-only transaction", "role/set"],
  ["read-only transaction after failover", "role/set"],
  ["writes hang", "locks/tree"],
  ["canceling statement due to statement timeout", "role/set"],
  ["invalid index", "maintenance/reindex"],
  ["replica shows yesterday's figures", "replica/replay-resume"],
  ["table far larger than it should be", "maintenance/tables"],
  ["id near 2147483647", "sequence/list"],
  ["permission denied for table invoices", "role/grant"],
  ["archive_command fails", "health/check"],
  ["collation version mismatch", "maintenance/collation"],
  ["employee left", "role/drop"],
  ["no partition of relation found for row", "partition/add"],
  ["standby", "replica/list"],
  ["lag of the replicas", "replica/list"],
  ["some payments hang and nobody blocks", "prepared/list"],
  ["some payments hang and nobody blocks", "locks/tree"],
  ["autovacuum achieves nothing and the table keeps growing", "slot/list"],
  ["saved orders hang for ever, a machine was scrapped", "locks/tree"],
  ["can't register a new row, large numbers", "sequence/widen"],
  ["nobody can change or delete a row", "table/replica-identity"],
  ["role sees no rows", "role/rights"],
  ["dump breaks off since the power cut", "index/verify"],
  ["documents can't be opened", "index/verify"],
  ["screen hangs with this query, the index is there", "query/analyze"],
])("%s: %s is among the first three", (words, name) => expect(first(words)).toContain(name));

test("what has stopped is looked at before it is stopped", () =>
  expect(first("logical subscription stopped conflict", 1)).toEqual(["subscription/list"]));

// As somebody asks who has the trouble and does not know how the runbooks are called; any of those named begins to help.
test.each<[string, string[]]>([
  ["audit", ["role/rights", "health/check"]],
  ["replication lag", ["replica/list"]],
  ["who is blocking", ["locks/tree"]],
  ["kill a query", ["session/cancel", "session/terminate"]],
  ["too many connections", ["session/list"]],
  ["table bloat", ["maintenance/plan", "maintenance/repack", "maintenance/tables"]],
  ["unused index", ["index/list"]],
  ["missing index", ["query/index-suggest"]],
  ["why is this query slow", ["query/analyze", "query/slow-log"]],
  ["the database is down", ["failover/status", "cluster/status", "cluster/start"]],
  ["primary is dead", ["failover/status", "failover/trigger"]],
  ["planned switchover", ["failover/trigger"]],
  ["password leaked", ["role/password"]],
  ["new read only user", ["role/create", "role/grant"]],
  ["autovacuum not running", ["health/check", "maintenance/plan", "maintenance/tables"]],
  ["transaction id wraparound", ["maintenance/freeze"]],
  ["restore to yesterday", ["backup/restore"]],
  ["dropped a table by mistake", ["backup/restore"]],
  ["is my backup any good", ["backup/verify", "backup/drill"]],
  ["idle in transaction", ["session/list"]],
  ["increase shared_buffers", ["config/apply", "config/tune"]],
  ["undo a settings change", ["config/rollback"]],
  ["restart postgres", ["cluster/restart", "config/restart"]],
  ["certificate expired", ["cluster/certificates"]],
  ["too many alerts", ["monitor/silence", "monitor/alerts/list"]],
  ["duplicate key", ["constraint/duplicates"]],
  ["sequence runs out of numbers", ["sequence/widen", "sequence/list"]],
  ["integer overflow primary key", ["sequence/widen"]],
  ["collation version mismatch", ["maintenance/collation"]],
  ["replication slot keeps wal", ["slot/list"]],
  ["logical replication stopped", ["subscription/list"]],
  ["corrupt index", ["index/verify"]],
  ["rebuild standby", ["replica/reinit"]],
  ["add a read replica", ["replica/add"]],
  ["copy production to a test server", ["rehearsal/copy", "backup/load", "backup/restore"]],
  ["deadlock", ["locks/tree"]],
  ["who can read this table", ["role/rights"]],
  ["running out of disk space", ["disk/usage"]],
  ["partition for next month", ["partition/add"]],
  ["wrong plan, old statistics", ["maintenance/analyze"]],
  ["upgrade an extension", ["extension/update"]],
  ["stop traffic for maintenance", ["pgbouncer/pause"]],
  ["transaction stuck in prepared state", ["prepared/list"]],
  ["fix a wrong value in a row", ["query/change"]],
  ["remove an employee's account", ["role/drop"]],
  ["test the failover", ["chaos/kill-node", "chaos/suite", "rehearsal/move"]],
  ["row level security", ["policy/list"]],
  ["slowest statements", ["query/slow-log"]],
  ["what changed in the configuration", ["config/diff"]],
  ["application hangs", ["locks/tree", "session/list"]],
  ["wal keeps growing", ["disk/usage", "slot/list", "health/check"]],
  ["cannot log in", ["role/list", "role/set", "role/password"]],
  [
    "query suddenly slow",
    ["query/analyze", "query/slow-log", "query/plan-diff", "maintenance/analyze"],
  ],
  ["kill idle sessions", ["session/terminate", "session/list"]],
  ["which indexes can be dropped", ["index/list", "index/drop"]],
  ["synchronous standby commit hangs", ["replica/list", "cluster/status"]],
  ["who has superuser", ["role/rights", "role/list"]],
  ["create a new cluster", ["cluster/init"]],
  ["how old is the last backup", ["backup/list"]],
  ["wal archiving broken", ["health/check", "backup/gaps"]],
  ["reset password", ["role/password"]],
  ["kill everything from one application", ["session/terminate"]],
  ["foreign key without index", ["health/check", "index/create"]],
  ["analyze all tables", ["maintenance/analyze"]],
  ["check for corruption", ["index/verify"]],
  ["copy a table from backup", ["backup/restore", "backup/load-table"]],
  ["set work_mem for a user", ["role/set"]],
  ["reload configuration", ["config/apply", "pgbouncer/reload"]],
  ["memory settings for this machine", ["config/tune"]],
])("%s: one of %j is among the first three", (words, names) => {
  expect(names).toContain(first(words).find((name) => names.includes(name)) ?? first(words).join());
});

test("what mends or explains a trouble is found with what shows it", () => {
  for (const [words, name] of [
    ["standby old data", "replica/list"],
    ["standby old data", "health/check"],
    ["disk full WAL", "health/check"],
    ["slow query role", "role/set"],
    ["slow query role", "health/check"],
    ["bring rows back", "backup/restore"],
    ["vanished rows", "index/verify"],
  ] as const)
    expect([words, first(words)]).toEqual([words, expect.arrayContaining([name])]);
});

test("what breaks things on purpose comes last, unless it is asked for", () => {
  for (const words of ["corrupt damaged", "damage a table", "disk full", "kill"]) {
    const found = rank(all, words.split(" "));
    const faults = found.map(({ hazards }) => hazards.includes("fault"));
    expect(faults).toEqual(faults.toSorted());
  }
  expect(first("chaos corrupt", 1)).toEqual(["chaos/corrupt"]);
  expect(first("drill: damage an index")).toContain("chaos/corrupt");
});

test("words that nobody wrote down bring few", () => {
  expect(rank(all, ["detach", "splitting"]).length).toBeLessThanOrEqual(5);
  expect(rank(all, ["thereby"]).length).toBeLessThanOrEqual(5);
});

test("what breaks things on purpose does not stand before what mends them", () => {
  const disk = { summary: "Where the space of the disk went, and whether it is full", specs: {} };
  const usage = { ...disk, name: "disk/usage", hazards: [], risk: "read" } as Searched;
  const drill = { ...disk, name: "chaos/disk-full", hazards: ["fault"] } as Searched;
  expect(rank([drill, usage, ...all], ["disk", "full"])[0]!.name).toBe("disk/usage");
});

test("of two that are as near, the look stands before the act", () => {
  const slots = { summary: "Slots that keep WAL", specs: {}, hazards: [] };
  const drop = { ...slots, name: "a/drop", risk: "disruptive" } as unknown as Searched;
  const list = { ...slots, name: "b/list", risk: "read" } as unknown as Searched;
  expect(rank([drop, list], ["slots"]).map(({ name }) => name)).toEqual(["b/list", "a/drop"]);
});

test("nothing is found for words that stand nowhere, or for none", () => {
  expect(first("zebra")).toEqual([]);
  expect(first("the of")).toEqual([]);
});
