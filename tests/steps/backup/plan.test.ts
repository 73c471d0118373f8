import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Json } from "../../../engine/types.ts";
import { markPrefix } from "../../../providers/repository/layout.ts";
import plan from "../../../steps/backup/plan.ts";
import { type Archived, archivingServer } from "../../support/archive.ts";
import { fakeContext } from "../../support/context.ts";

setDefaultTimeout(300_000);

const ID = "20260101T000000Z-full-aaaaaa";
let it: Archived;
let noted = "";

beforeAll(async () => {
  it = await archivingServer(18);
  await it.backup(ID, { stored_bytes: 1000, bytes: 5000 });
  await it.client.query("create table t (id int)");
  await Bun.sleep(2);
  noted = await it.one<string>("select (clock_timestamp() at time zone 'Europe/Berlin')::text");
  await Bun.sleep(2);
  await it.client.query("drop table t");
  await it.collect();
});
afterAll(() => it.stop());

function ask(input: object) {
  const { repository, key } = it;
  const ctx = fakeContext({
    target: {
      name: "orders",
      facts: async () => ({ state: "down", identity: null, capabilities: [], facts: {} }),
      use: async () => ({ repository, key, origins: [], place: null, location: "memory" }),
    },
    clock: { now: () => new Date(), monotonic: () => 0, sleep: async () => {} },
  });
  return plan.run(ctx, input as Json) as Promise<Record<string, Json>>;
}

test("a moment in a zone's time, by a cluster that is down: yes, with the proof and what a restore needs", async () => {
  const answer = await ask({ target_time: `${noted} Europe/Berlin` });
  expect(answer).toMatchObject({
    possible: true,
    backup_id: ID,
    chain: [ID],
    quality: "complete",
    timeline: 1,
    inclusive: true,
    stored_bytes: 1000,
    bytes: 5000,
    forecast_seconds: null,
    timelines: [{ timeline: 1, depth: 0, parent: null, followed: true }],
  });
  expect(answer["proof"]).toContain("the last commit before it is of ");
  expect(Number(answer["wal_bytes"])).toBeGreaterThan(0);
});

test("the last drill tells how long it takes", async () => {
  const facts = { fetch_seconds: 2, stored_bytes: 500, replay_seconds: 3, wal_bytes: 1 << 30 };
  it.repository.put(
    `${markPrefix(it.key, ID)}drilled-20260102T000000Z-run-9.json`,
    JSON.stringify({
      backup: ID,
      kind: "drilled",
      at: "2026-01-02T00:00:00Z",
      run: "run-9",
      facts,
    }),
  );
  const answer = await ask({});
  // Twice as much to fetch takes twice as long; a server starts in no less than it did.
  expect([answer["quality"], answer["forecast_seconds"]]).toEqual(["drilled", 7]);
});

test("no is an answer where it was asked for, and an error where somebody relies on it", async () => {
  const early = { target_time: "2020-01-01 00:00 Europe/Berlin" };
  const no = await ask({ ...early, refuse: false });
  expect(no).toMatchObject({
    possible: false,
    backup_id: null,
    windows: [{ from: { backup: ID } }],
  });
  expect(no["why"]).toStartWith("2019-12-31T23:00:00Z is before the first backup");
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => "not refused",
      ({ code }: { code: string }) => code,
    );
  expect([
    await refusal(ask(early)),
    await refusal(ask({ target_time: "2026-03-01 14:03", refuse: false })),
    await refusal(ask({ target_time: "2026-03-01 14:03Z", target_xid: 7, refuse: false })),
  ]).toEqual(["step_refused", "invalid_param", "invalid_param"]);
});
