/** The PgBouncers of a registered cluster, by the real command line. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  at,
  cli,
  filesBelow,
  place,
  type Place,
  removePlaces,
  runbooks,
  Running,
} from "../../e2e/support.ts";
import { clusterFile, sharedServer } from "../../e2e/server.ts";
import { CONSOLE_USER, pgbouncerMissing } from "../../support/pgbouncer.ts";
import { type Followed, portOf, startFollowed } from "../../steps/pgbouncer/support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const HOLDS = (rest: string, cap: string) => `summary: s
risk: disruptive
steps:
  - id: held
    pgbouncer.pause: {cap: ${cap}}
${rest}`;

describe.skipIf(pgbouncerMissing() !== null)("the PgBouncers of a cluster", () => {
  let followed: Followed;
  let p: Place;
  const on = ["--cluster", "shop"];
  const paused = async () => (await followed.ask("GET", "/status")).body.paused;
  const query = async () => {
    const client = await followed.client();
    try {
      return await portOf(client);
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    followed = await startFollowed();
    await followed.until(({ route }) => route !== null);
    const { pooler, url } = followed;
    const instance = (name: string) =>
      `{name: ${name}, host: ${pooler.host}, port: ${pooler.port}, follower: "${url}"}`;
    const more = `pgbouncer: {user: ${CONSOLE_USER}, password_env: POOL_PASSWORD, instances: [${instance("pool1")}]}\n`;
    const server = await sharedServer();
    p = place({
      "home/clusters/shop.yaml": clusterFile(server, "connected", more),
      "home/clusters/bare.yaml": clusterFile(server, "connected"),
      ...runbooks({
        "team/fails": HOLDS("  - id: broken\n    assert: {that: 1 == 2, message: no}\n", "60s"),
        "team/stuck": HOLDS(
          "  - id: stuck\n    exec: {argv: [sleep, '100'], effect: read}\n",
          "2s",
        ),
      }),
    });
    Object.assign(p.env, { CLUSTER_PASSWORD: server.password, POOL_PASSWORD: pooler.admin });
  });
  afterAll(() => followed?.stop());

  test("are paused, looked at and resumed, each by its holder; the password is in no file", async () => {
    expect((await cli(["pgbouncer", "pause", ...on], p)).envelope.error?.code).toBe(
      "approval_needed",
    );
    const held = await cli(["pgbouncer", "pause", "--cap", "60s", "--yes", ...on], p);
    expect(held.envelope.data).toMatchObject({ paused: ["pool1"], holder: "operator" });
    const waiting = query();
    const seen = await cli(["pgbouncer", "status", ...on], p);
    expect(at(seen.envelope, "data", "instances")).toMatchObject([
      { instance: "pool1", up: true, member: "pg1", clients: "wait", held_by: "operator" },
    ]);
    const other = await cli(["pgbouncer", "resume", "--holder", "me", ...on], p);
    expect(other.envelope.error).toMatchObject({
      code: "step_refused",
      message: "operator holds back the clients of pool1",
    });
    expect(Bun.peek.status(waiting)).toBe("pending");
    const resumed = await cli(["pgbouncer", "resume", ...on], p);
    expect(resumed.envelope.data).toMatchObject({
      resumed: ["pool1"],
      routes: [{ instance: "pool1", member: "pg1" }],
    });
    expect(await waiting).toBe(followed.members[0].server.port);
    const reloaded = await cli(["pgbouncer", "reload", ...on], p);
    expect(reloaded.envelope.data).toMatchObject({ reloaded: ["pool1"] });
    for (const [file, text] of filesBelow(p.home))
      expect([file, text.includes(followed.pooler.admin)]).toEqual([file, false]);
  });

  test("go on when the run fails after it paused them, and at the cap when it is killed", async () => {
    const failed = await cli(["team", "fails", "--yes", ...on], p);
    expect(failed.exit).toBe(5);
    expect(await paused()).toBeNull();
    const killed = new Running(["team", "stuck", "--yes", "-v", ...on], p);
    await killed.said(/start stuck/);
    expect(await paused()).not.toBeNull();
    killed.signal("SIGKILL");
    await killed.ended();
    expect(await query()).toBe(followed.members[0].server.port);
    expect(await paused()).toBeNull();
  });

  test("a cluster without any says so, with what to do", async () => {
    const ran = await cli(["pgbouncer", "status", "--cluster", "bare"], p);
    expect(ran.envelope.error).toMatchObject({ code: "capability_missing" });
    expect(ran.exit).toBe(3);
  });
});
