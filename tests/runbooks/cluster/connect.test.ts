/** A Patroni cluster that pgdba did not make is taken over, by the real command line. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { openSession } from "../../../providers/postgres/session.ts";
import { until } from "../../support/rehearsed.ts";
import { type PatroniCluster, patroniMissing, startPatroni } from "../../support/patroni.ts";
import { at, cli, type Place, place, type Ran, removePlaces } from "../../e2e/support.ts";

setDefaultTimeout(300_000);
const missing = patroniMissing();
if (missing !== null) process.stderr.write(`cluster/connect is not tested: ${missing}\n`);

describe.skipIf(missing !== null)("a Patroni cluster that somebody else made", () => {
  let cluster: PatroniCluster;
  beforeAll(async () => {
    cluster = await startPatroni(2);
  });
  afterAll(() => cluster.stop());
  afterEach(removePlaces);

  const env = () => ({ ORDERS_PW: cluster.password, API_PW: cluster.apiPassword });
  const connect = (p: Place, ...more: string[]): Promise<Ran> =>
    cli(["cluster", "connect", "--password-env", "ORDERS_PW", ...more], p, { env: env() });
  const entry = (p: Place, name = "orders") => join(p.home, "clusters", `${name}.yaml`);

  test("is found from one member, checked, registered and at once of use", async () => {
    const p = place();
    const ran = await connect(
      p,
      "--name",
      "orders",
      "--patroni-url",
      cluster.members[1]!.api,
      "--label",
      "emea",
    );
    expect(ran.envelope.error).toBeNull();
    expect(ran.envelope.data).toMatchObject({
      name: "orders",
      scope: "test",
      version: 15,
      problems: [],
    });
    const written = parse(readFileSync(entry(p), "utf8"));
    expect(written).toMatchObject({
      ownership: "connected",
      labels: ["emea"],
      postgres: { user: "postgres", password_env: "ORDERS_PW" },
      patroni: { scope: "test", endpoints: cluster.members.map(({ api }) => api) },
      nodes: cluster.members.map(({ name, host, port }) => ({ name, address: { host, port } })),
    });
    expect(written.partial).toBeUndefined();
    const { database_system_identifier } = await cluster.get("/patroni");
    expect(written.system_identifier).toBe(database_system_identifier);
    const may = at(ran.envelope, "data", "may") as { what: string; can: boolean }[];
    expect(Object.fromEntries(may.map(({ what, can }) => [what, can]))).toMatchObject({
      diagnosis: true,
      failover: true,
      "replicas: add, remove, rejoin": false,
      "faults on purpose": false,
      "destroying it": false,
    });
    for (const text of [ran.stdout, ran.stderr, readFileSync(entry(p), "utf8")])
      expect(text).not.toContain(cluster.password);
    const health = await cli(
      ["health", "check", "--only", "autovacuum-off", "--cluster", "orders"],
      p,
      { env: env() },
    );
    expect(health.envelope.error).toBeNull();

    // It is the only cluster, so nobody has to name it; a member is named by its name. What makes or forgets one is not guessed.
    const members = cluster.members.map(({ name }) => name);
    for (const flags of [[], ...members.map((name) => ["--host", name])]) {
      const seen = await cli(["config", "show", "port", ...flags], p, { env: env() });
      expect(seen.envelope.error).toBeNull();
      expect(at(seen.envelope, "data", "run", "target")).toBe(
        flags.length === 0 ? "orders" : `orders/${flags[1]}`,
      );
      expect(at(seen.envelope, "data", "run", "warnings")).toEqual(
        flags.length === 0 ? [expect.stringContaining("orders, the only cluster")] : [],
      );
    }
    const forgotten = await cli(["cluster", "forget"], p);
    expect(forgotten.envelope.error).toMatchObject({
      code: "invalid_param",
      hint: expect.stringContaining("--cluster orders"),
    });
    const shown = await cli(["cluster", "show"], p);
    expect(at(shown.envelope, "data", "cluster", "name")).toBe("orders");

    const again = await connect(p, "--name", "orders", "--patroni-url", cluster.members[0]!.api);
    expect(again.envelope.error).toMatchObject({
      code: "step_refused",
      message: expect.stringContaining("already a cluster named orders"),
    });
    const twin = await connect(p, "--cluster", "twin", "--patroni-url", cluster.members[0]!.api);
    expect(twin.envelope.error).toMatchObject({
      code: "step_refused",
      message: expect.stringContaining("already, as orders"),
    });
    expect(existsSync(entry(p, "twin"))).toBe(false);
    // It is never destroyed: pgdba did not make it.
    const destroy = await cli(
      [
        "rehearsal",
        "destroy",
        "--cluster",
        "orders",
        "--confirm=orders",
        "--without-backup=orders",
      ],
      p,
      { env: env() },
    );
    expect([destroy.exit, destroy.envelope.error?.code]).toEqual([
      3,
      expect.stringMatching(/gate_refused|capability_missing/),
    ]);
  });

  test("is not registered without a name, a password, a Patroni, or by an address of another server", async () => {
    const p = place();
    const url = cluster.members[0]!.api;
    const nameless = await connect(p, "--patroni-url", url);
    expect([nameless.exit, nameless.envelope.error?.code]).toEqual([2, "invalid_param"]);
    const two = await connect(p, "--patroni-url", url, "--name", "a", "--cluster", "b");
    expect(two.envelope.error).toMatchObject({
      code: "usage",
      message: expect.stringContaining("--name and --cluster"),
    });
    const named = await cli(
      [
        "cluster",
        "connect",
        "--name",
        "orders",
        "--patroni-url",
        url,
        "--password-env",
        "NOT_SET",
        "--patroni-password-env",
        "NOR_THIS",
      ],
      p,
    );
    expect(named.envelope.error).toMatchObject({
      code: "missing_secret",
      message: "Not set: NOT_SET, NOR_THIS",
    });
    const wordless = await cli(["cluster", "connect", "--name", "orders", "--patroni-url", url], p);
    expect(wordless.envelope.error).toMatchObject({
      code: "missing_secret",
      hint: expect.stringContaining("--password-env"),
    });
    const nobody = await connect(p, "--name", "orders", "--patroni-url", "http://127.0.0.1:1");
    expect(nobody.envelope.error).toMatchObject({
      code: "connection_failed",
      hint: expect.stringContaining("--patroni-url"),
    });
    const leader = cluster.members[(await cluster.get("/patroni")).role === "replica" ? 1 : 0]!;
    const standby = cluster.members.find(({ name }) => name !== leader.name)!;
    const elsewhere = await connect(
      p,
      "--name",
      "orders",
      "--patroni-url",
      url,
      "--pg-host",
      standby.host,
      "--pg-port",
      String(standby.port),
    );
    expect(elsewhere.envelope.error).toMatchObject({
      code: "step_refused",
      hint: expect.stringContaining(`${leader.name} leads now`),
    });
    expect(existsSync(entry(p))).toBe(false);
  });

  test("whose addresses lead nowhere from here is registered by the places that --members tells", async () => {
    const p = place();
    /** What Patroni tells, as in containers: names that only the members know. */
    const inside = (text: string): string =>
      cluster.members.reduce(
        (all, { name, host, port, api }) =>
          all
            .replaceAll(`${api}/`, `http://${name}.inside.invalid:8008/`)
            .replaceAll(
              `"host": "${host}", "port": ${port}`,
              `"host": "${name}.inside.invalid", "port": 5432`,
            ),
        text,
      );
    const fronts = cluster.members.map(({ api }) =>
      Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: async (request) => {
          const answer = await fetch(`${api}${new URL(request.url).pathname}`);
          return new Response(inside(await answer.text()), { status: answer.status });
        },
      }),
    );
    try {
      const urls = fronts.map(({ port }) => `http://127.0.0.1:${port}`);
      const lost = await connect(p, "--name", "orders", "--patroni-url", urls[0]!);
      expect(lost.envelope.error?.code).toBe("connection_failed");
      expect(lost.envelope.error?.message).toContain("pg1.inside.invalid");
      expect(lost.envelope.error?.hint).toContain("--members");
      const places = Object.fromEntries(
        cluster.members.map(({ name, host, port }, n) => [
          name,
          { patroni: urls[n], postgres: `${host}:${port}` },
        ]),
      );
      const half = await connect(
        p,
        "--name",
        "orders",
        "--patroni-url",
        urls[0]!,
        "--members",
        JSON.stringify({ pg1: places["pg1"] }),
      );
      expect(half.envelope.error?.message).toContain("pg2");
      const ran = await connect(
        p,
        "--name",
        "orders",
        "--patroni-url",
        urls[0]!,
        "--members",
        JSON.stringify(places),
      );
      expect(ran.envelope.error).toBeNull();
      expect(parse(readFileSync(entry(p), "utf8"))).toMatchObject({
        patroni: { endpoints: urls, members: { pg1: urls[0], pg2: urls[1] } },
        nodes: [
          {
            name: "pg1",
            address: { host: "pg1.inside.invalid", port: 5432 },
            reach: { port: cluster.members[0]!.port },
          },
          { name: "pg2", address: { host: "pg2.inside.invalid", port: 5432 } },
        ],
      });
    } finally {
      await Promise.all(fronts.map((front) => front.stop(true)));
    }
  });

  describe("once it is registered", () => {
    let p: Place;
    const status = async (...more: string[]) => {
      const ran = await cli(["cluster", "status", "--cluster", "orders", ...more], p, {
        env: env(),
      });
      const members = (at(ran.envelope, "data", "members") ?? []) as Record<string, unknown>[];
      const findings = (at(ran.envelope, "data", "findings") ?? []) as {
        check: string;
        object: string | null;
      }[];
      return {
        ran,
        roles: Object.fromEntries(members.map(({ name, role }) => [name, role])),
        members: Object.fromEntries(members.map((one) => [one["name"], one])),
        checks: findings.map(({ check, object }) =>
          object === null ? check : `${check} ${object}`,
        ),
        leader: at(ran.envelope, "data", "leader") as string,
      };
    };
    /** Asks until it holds: Patroni needs a loop to see a change. */
    const statusUntil = (holds: (seen: Awaited<ReturnType<typeof status>>) => boolean) =>
      until(() => status(), holds, 45_000);
    const sql = async (member: string, text: string): Promise<unknown> => {
      const { host, port } = cluster.members.find(({ name }) => name === member)!;
      const session = await openSession({
        host,
        port,
        user: cluster.user,
        password: () => cluster.password,
        database: "postgres",
        sslmode: "disable",
        application_name: "somebody",
      });
      try {
        return (await session.query(text)).rows;
      } finally {
        await session.close();
      }
    };
    const numberOf = (member: string): number =>
      cluster.members.findIndex(({ name }) => name === member);

    beforeEach(async () => {
      p = place();
      const ran = await connect(p, "--name", "orders", "--patroni-url", cluster.members[0]!.api);
      expect(ran.envelope.error).toBeNull();
    });

    test("its status is told by all that it has, with live lag, and drawn", async () => {
      const { ran, roles, members, checks, leader } = await status();
      expect(ran.envelope.error).toBeNull();
      const standby = leader === "pg1" ? "pg2" : "pg1";
      expect(roles).toEqual({ [leader]: "leader", [standby]: "replica" });
      expect(checks).toEqual([`archive-discards ${leader}`]);
      expect(members[standby]).toMatchObject({
        state: "streaming",
        streams_from: leader,
        sql: true,
        api: true,
      });
      expect(at(ran.envelope, "data", "leader_by")).toBe("member");
      expect(at(ran.envelope, "data", "patroni")).toMatchObject({
        scope: "test",
        paused: false,
        loop_wait: 1,
        ttl: 20,
      });
      expect(at(ran.envelope, "data", "sources")).toEqual([
        expect.objectContaining({ source: "patroni", asked: 1, answered: 1 }),
        expect.objectContaining({ source: "members' PostgreSQL", asked: 2, answered: 2 }),
        expect.objectContaining({ source: "members' Patroni", asked: 2, answered: 2 }),
        expect.objectContaining({ source: "Patroni's configuration", asked: 1, answered: 1 }),
      ]);
      // Replay stands still, and what is written meanwhile is lag at once, whatever Patroni has read. Its own would let it go on.
      await cluster.signal(numberOf(standby), "SIGSTOP");
      await sql(standby, "SELECT pg_wal_replay_pause()");
      await until(
        () => sql(standby, "SELECT pg_get_wal_replay_pause_state() AS state"),
        (rows) => Bun.deepEquals(rows, [{ state: "paused" }]),
      );
      try {
        await sql(
          leader,
          "SELECT pg_logical_emit_message(true, 'test', repeat('x', 100000)) FROM generate_series(1, 20)",
        );
        const late = await status();
        expect(Number(late.members[standby]!["replay_lag_bytes"])).toBeGreaterThan(1_000_000);
        expect(late.checks).toContain(`replay-lag ${standby}`);
      } finally {
        await sql(standby, "SELECT pg_wal_replay_resume()");
        await cluster.signal(numberOf(standby), "SIGCONT");
      }
      expect(at(ran.envelope, "data", "topology")).toMatch(
        new RegExp(`▲ ${leader} +leader +running[^\\n]*\\n +└─ ● ${standby} +replica`),
      );
      // With the store named, it is asked itself.
      const q = place();
      const url = cluster.members[0]!.api;
      const more = await connect(
        q,
        "--name",
        "orders",
        "--patroni-url",
        url,
        "--etcd",
        cluster.etcd,
      );
      expect(more.envelope.error).toBeNull();
      const stored = await cli(["cluster", "status"], q, { env: env() });
      expect(at(stored.envelope, "data", "leader_by")).toBe("dcs");
      expect(at(stored.envelope, "data", "leader")).toBe(leader);
      expect(at(stored.envelope, "data", "dcs")).toMatchObject({
        quorum: true,
        members: [{ reachable: true }],
        leader_key: { holder: leader },
      });
      const strict = await status("--fail-on", "warning");
      expect([strict.ran.exit, strict.ran.envelope.error?.code]).toEqual([1, "assertion_failed"]);
      expect((await status("--fail-on", "critical")).ran.exit).toBe(0);
    });

    test("its primary role is handed over, which the status follows; it is never destroyed", async () => {
      const { leader } = await status();
      const standby = leader === "pg1" ? "pg2" : "pg1";
      // A member is named by its place as well as by its name.
      const { host, port } = cluster.members[numberOf(standby)]!;
      const q = place();
      const known = await connect(
        q,
        "--name",
        "orders",
        "--patroni-url",
        cluster.members[0]!.api,
        "--patroni-user",
        cluster.apiUser,
        "--patroni-password-env",
        "API_PW",
      );
      expect(known.envelope.error).toBeNull();
      const moved = await cli(
        ["failover", "trigger", "--target", `${host}:${port}`, "--cluster", "orders", "--yes"],
        q,
        { env: env(), limitMs: 120_000 },
      );
      expect(moved.envelope.error).toBeNull();
      const after = await statusUntil(
        ({ roles, members }) =>
          roles[standby] === "leader" && members[leader]?.["state"] === "streaming",
      );
      expect(after.roles).toEqual({ [standby]: "leader", [leader]: "replica" });
      expect(after.leader).toBe(standby);
      expect(at(after.ran.envelope, "data", "timeline")).toBe(2);
      const destroy = await cli(
        [
          "cluster",
          "destroy",
          "--cluster",
          "orders",
          "--confirm=orders",
          "--without-backup=orders",
        ],
        q,
        { env: env() },
      );
      expect([destroy.exit, destroy.envelope.error?.code]).toEqual([3, "gate_refused"]);
      expect(destroy.envelope.error?.message).toContain("was not made by pgdba");
      expect((await status()).roles).toEqual(after.roles);
    });

    test("without Patroni's answers roles are told by SQL, and that is said; a server that is promoted by hand is unfenced", async () => {
      const { leader } = await status();
      const standby = leader === "pg1" ? "pg2" : "pg1";
      for (const n of cluster.members.keys()) await cluster.signal(n, "SIGSTOP");
      try {
        const blind = await status();
        expect(blind.ran.envelope.error).toBeNull();
        expect(blind.roles).toEqual({ [leader]: "leader", [standby]: "replica" });
        expect(at(blind.ran.envelope, "data", "leader_by")).toBe("sql");
        expect(blind.checks[0]).toBe("patroni-down");
        await sql(standby, "SELECT pg_promote()");
        // Two take writes, and nobody tells which may.
        const two = await status();
        expect(two.roles).toEqual({ [leader]: "unfenced", [standby]: "unfenced" });
        await cluster.signal(numberOf(leader), "SIGCONT");
        const one = await statusUntil(({ roles }) => roles[leader] === "leader");
        expect(one.roles).toEqual({ [leader]: "leader", [standby]: "unfenced" });
        expect(one.checks[0]).toBe(`unfenced ${standby}`);
        expect((await status("--fail-on", "critical")).ran.exit).toBe(1);
      } finally {
        for (const n of cluster.members.keys()) await cluster.signal(n, "SIGCONT");
      }
    });
  });
});
