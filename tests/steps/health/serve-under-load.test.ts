import { afterAll, expect, test } from "bun:test";
import { clientOf, startServer } from "../../support/postgres.ts";
import { freeze, serving, stopServing } from "./serving.ts";

afterAll(stopServing);

const CLIENTS = 16;
/** A sign of life is given up after 3 s, and asked for again each second; the rest is for this machine, which the clients keep busy. */
const NOT_NOW_MS = 6_000;
/** What a probe waits at most. */
const PATIENCE_MS = 10_000;

test("under a load of clients both probes say 200 in time, however many ask; when the server stands still meanwhile they say 503 in time, and 200 again after it", async () => {
  const server = await startServer();
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => clientOf(server)));
  let loading = true;
  let done = 0;
  const load = clients.map(async (client, n) => {
    await client.query(
      `create table load_${n} as select i, i as n from generate_series(1, 5000) i`,
    );
    for (; loading; done++) await client.query(`update load_${n} set n = n + 1`);
  });
  // The load is no problem of its own here: what is asked is whether there is an answer.
  const { url } = await serving(server, {
    ttl: "200ms",
    max_age: "1s",
    groups: ["connections", "locks"],
  });
  const ask = async (probe: string) => {
    const begun = performance.now();
    const { status } = await fetch(`${url}/${probe}`);
    return { status, ms: performance.now() - begun };
  };
  const askedAtOnce = () =>
    Promise.all(Array.from({ length: 20 }, (_, n) => ask(n % 2 === 0 ? "healthz" : "readyz")));
  const longest = (answers: { ms: number }[]) => Math.max(...answers.map(({ ms }) => ms));
  const statuses = (answers: { status: number }[]) => [
    ...new Set(answers.map(({ status }) => status)),
  ];
  let goOn = () => {};
  try {
    for (let round = 0; round < 5; round++) {
      const answers = await askedAtOnce();
      expect(statuses(answers)).toEqual([200]);
      expect(longest(answers)).toBeLessThan(PATIENCE_MS);
      await Bun.sleep(300);
    }
    expect(done).toBeGreaterThan(CLIENTS);
    goOn = await freeze(server);
    // The last sign of life is good for a second.
    await Bun.sleep(1_100);
    for (let round = 0; round < 2; round++) {
      const answers = await askedAtOnce();
      expect(statuses(answers)).toEqual([503]);
      expect(longest(answers)).toBeLessThan(NOT_NOW_MS);
    }
    goOn();
    for (const ends = performance.now() + 30_000; (await ask("readyz")).status !== 200;) {
      expect(performance.now()).toBeLessThan(ends);
      await Bun.sleep(100);
    }
    expect((await ask("healthz")).status).toBe(200);
  } finally {
    goOn();
    loading = false;
    await Promise.allSettled(load);
    await Promise.all(clients.map((client) => client.end()));
    await server.stop();
  }
}, 300_000);
