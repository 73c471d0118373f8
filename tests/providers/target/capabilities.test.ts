import { expect, test } from "bun:test";
import { type Capability, waysTo } from "../../../providers/target/capabilities.ts";
import index from "../../../runbooks/_index.json" with { type: "json" };

const NEEDS = Object.entries(index.documents).flatMap(([name, document]) =>
  "runbook" in document ? [{ name, needs: document.runbook.needs as Capability[] }] : [],
);

test("whoever lacks what a runbook needs is told how to get it, with a cluster and without", () => {
  const words = new Set(NEEDS.flatMap(({ needs }) => needs));
  expect(words.size).toBeGreaterThan(3);
  for (const word of words) {
    // A server that does not answer has its own error.
    if (word === "postgres") continue;
    for (const isCluster of [true, false])
      expect([word, waysTo(isCluster)[word]]).toEqual([word, expect.any(String)]);
  }
});

test("who asks for a restart of a server that no Patroni runs is told how it is done by hand", () => {
  expect(waysTo(false, "/data/it's").patroni).toContain(
    "pg_ctl restart -m fast -D '/data/it'\\''s'",
  );
});

test("what moves, stops, makes anew or removes members needs a word that a PostgreSQL alone does not have", () => {
  const alone: readonly string[] = ["postgres", "primary", "standby", "superuser", "pg_monitor"];
  const families =
    /^(failover|replica|pgbouncer)\/|^cluster\/(pause|resume|restart|start|stop|destroy)$/;
  // The first runs beside a PgBouncer, where no entry is; any server lists its standbys; replay stands still and goes on at any standby.
  const own = ["pgbouncer/follow", "replica/list", "replica/replay-pause", "replica/replay-resume"];
  const moves = NEEDS.filter(({ name }) => families.test(name) && !own.includes(name));
  expect(moves.length).toBeGreaterThan(10);
  for (const { name, needs } of moves)
    expect([name, needs.some((need) => !alone.includes(need))]).toEqual([name, true]);
});
