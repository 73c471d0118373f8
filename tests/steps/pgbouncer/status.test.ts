import { beforeAll, describe, expect, test } from "bun:test";
import pause from "../../../steps/pgbouncer/pause.ts";
import resume from "../../../steps/pgbouncer/resume.ts";
import status from "../../../steps/pgbouncer/status.ts";
import { fakeContext } from "../../support/context.ts";
import { pgbouncerAccess } from "../../../providers/pgbouncer/client.ts";
import { pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, onPooler, roleOf, portOf, sharedFollowed } from "./support.ts";

describe.skipIf(pgbouncerMissing() !== null)("pgbouncer.status", () => {
  let at: Followed;
  beforeAll(async () => {
    at = await sharedFollowed();
  }, 300_000);

  test("tells pools, clients that wait, the route, and who holds clients back; of one without a follower what its console says", async () => {
    const client = await at.client();
    const context = onPooler(at, "change", { pool2: undefined });
    await pause.run(context, { instances: ["pool1"], holder: "operator", cap: "60s" });
    const waiting = portOf(client);
    let one: any;
    do {
      const { instances } = (await status.run(context, {})) as { instances: any[] };
      [one] = instances;
      expect(instances[1]).toMatchObject({
        instance: "pool2",
        up: true,
        member: null,
        clients: null,
        held_by: null,
        why: "it has no follower: its route and pause are nobody's",
      });
    } while (one.clients_waiting === 0);
    expect(one).toMatchObject({
      instance: "pool1",
      up: true,
      member: "pg1",
      clients: "wait",
      held_by: "operator",
      clients_active: 0,
      clients_waiting: 1,
      servers_active: 0,
      why: null,
      pools: [{ database: "postgres", user: "follow_app", clients_waiting: 1 }],
    });
    expect(one.version).toMatch(/^1\.\d+\.\d+$/);
    expect(one.held_ms).toBeGreaterThan(30_000);
    await resume.run(context, { instances: ["pool1"], holder: "operator" });
    await waiting;
    await client.end();
  });

  test("one that does not answer is told as such, and a wrong password too", async () => {
    const { host, port } = at.pooler;
    const { signal } = new AbortController();
    const instances = [
      { name: "gone", host, port: 1, follower: "http://127.0.0.1:1" },
      { name: "closed", host, port, follower: at.url },
    ];
    const spec = { user: "pgbouncer_admin", password: "wrong", instances };
    const context = fakeContext({
      target: {
        use: async () => pgbouncerAccess(spec, { effect: "read", signal }, roleOf(at.pooler)),
      },
    });
    const output = (await status.run(context, {})) as { instances: any[] };
    expect(output.instances).toMatchObject([
      { instance: "gone", up: false, version: null, clients_waiting: null, pools: [] },
      { instance: "closed", up: false, member: null },
    ]);
    expect(output.instances[0].why).toContain("ECONNREFUSED");
    const pgbouncer = await context.use("pgbouncer");
    const refused = await pgbouncer.follower("closed").catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "http_failed", data: { status: 401 } });
    expect(JSON.stringify(output)).not.toContain("wrong");
  });
});
