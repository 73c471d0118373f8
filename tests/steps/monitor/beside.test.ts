/** A node that watches a server alone: a real container beside it, which reaches it on this machine's loopback. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { systemClock } from "../../../engine/clock.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import account from "../../../steps/monitor/account.ts";
import accountRemove from "../../../steps/monitor/account-remove.ts";
import beside from "../../../steps/monitor/beside.ts";
import besideRemove from "../../../steps/monitor/beside-remove.ts";
import install from "../../../steps/monitor/install.ts";
import ownRule from "../../../steps/monitor/own-rule.ts";
import watchers from "../../../steps/monitor/watchers.ts";
import { entryBeside, secureOf, watchedBeside } from "../../../steps/monitor/node/home-beside.ts";
import { fakeContext } from "../../support/context.ts";
import { dockerMissing } from "../../support/docker.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

const CONNECTED = {
  ownership: "connected",
  postgres: { host: "db1", user: "boss", password_env: "DB_PASSWORD", sslmode: "require" },
  patroni: {
    endpoints: ["https://db1:8008"],
    scope: "shop",
    user: "admin",
    password_env: "API_PASSWORD",
  },
  nodes: [
    {
      name: "pg1",
      roles: ["postgres"],
      address: { host: "10.0.0.1", port: 5432 },
      reach: { host: "db1", port: 5433 },
      endpoints: {
        patroni: { address: { host: "10.0.0.1", port: 8008 }, reach: { host: "db1", port: 8009 } },
      },
    },
  ],
  dcs: { kind: "etcd3", endpoints: ["http://e1:2379", "http://e2:2379"] },
  accounts: { monitor: { user: "pgdba_monitor", password: "monitor" } },
  secrets: { monitor: { file: "secrets/shop/monitor" } },
};

async function entryOf(stateDir: string, name: string, data: object) {
  await mkdir(join(stateDir, "clusters"), { recursive: true, mode: 0o700 });
  const file = clusterFile(stateDir, name);
  await writeFile(file, stringify(data), { mode: 0o600 });
  return (await readClusterFile(name, file))!;
}

describe("what is given to a node beside", () => {
  let stateDir = "";
  beforeAll(async () => {
    stateDir = await mkdtemp(join(tmpdir(), "pgdba-beside-"));
  });
  afterAll(() => rm(stateDir, { recursive: true }));

  test("members are asked where pgdba reaches them, by the role of monitoring alone, without the passwords of others", async () => {
    const entry = await entryOf(stateDir, "shop", CONNECTED);
    expect(watchedBeside(entry)).toEqual({
      cluster: "shop",
      servers: [{ name: "pg1", host: "db1", port: 5433, api: 8009 }],
      etcd: [
        { name: "e1", host: "e1", port: 2379 },
        { name: "e2", host: "e2", port: 2379 },
      ],
      poolers: [],
      hasDisks: false,
    });
    expect(secureOf(entry, {})).toEqual({ patroni: null });
    const there = entryBeside(entry, { patroni: "/ca" });
    expect(there).toMatchObject({
      postgres: { user: "pgdba_monitor", password_secret: "monitor", sslmode: "require" },
      patroni: { endpoints: ["https://db1:8008"], cafile: "/ca" },
      nodes: [{ name: "pg1", address: { host: "db1", port: 5433 } }],
    });
    expect(JSON.stringify(there)).not.toContain("PASSWORD");
    expect(JSON.stringify(there)).not.toContain("admin");
  });

  test("a server alone is called as it is registered; one that only a socket leads to can't be watched", async () => {
    const alone = await entryOf(stateDir, "one", {
      ownership: "connected",
      postgres: { host: "db9", user: "boss" },
    });
    expect(watchedBeside(alone).servers).toEqual([
      { name: "one", host: "db9", port: 5432, api: null },
    ]);
    const socket = await entryOf(stateDir, "two", {
      ownership: "connected",
      postgres: { host: "/run/postgresql", user: "boss" },
    });
    expect(() => watchedBeside(socket)).toThrow("is reached by a socket only");
    expect(() => entryBeside(alone, {})).toThrow("by which account it is watched");
  });
});

const missing = dockerMissing();
describe.skipIf(missing !== null)(
  `a real node beside a server${missing === null ? "" : ` (${missing})`}`,
  () => {
    const cluster = `beside-${process.pid}`;
    let server: TestServer;
    let stateDir = "";
    let target: ReturnType<typeof targetOf>;

    beforeAll(async () => {
      server = await startServer({ settings: { listen_addresses: "127.0.0.1" } });
      stateDir = await mkdtemp(join(tmpdir(), "pgdba-beside-"));
      await entryOf(stateDir, cluster, {
        ownership: "connected",
        postgres: { host: "127.0.0.1", port: server.port, user: server.user },
      });
      target = targetOf(server);
    }, 300_000);
    afterAll(async () => {
      await besideRemove.run(context(), { nodes: ["monitor1"] });
      await target?.close();
      await server?.stop();
      await rm(stateDir, { recursive: true, force: true });
    }, 300_000);

    const context = () => {
      const facts = async () => ({ ...(await target.facts()), capabilities: ["postgres"] });
      return fakeContext({
        target: { ...through(target), facts, cluster },
        run: { stateDir },
        env: process.env as Record<string, string>,
        clock: systemClock,
      });
    };

    test("it watches the server, takes rules of the user's own, is found and removed", async () => {
      await account.run(context(), {});
      const made = (await beside.run(context(), {})) as JsonObject;
      expect(made).toMatchObject({ node: "monitor1", made: true });
      const again = context();
      expect(await beside.run(again, {})).toMatchObject({
        prometheus: made["prometheus"],
        alertmanager: made["alertmanager"],
      });
      expect(again.recorded.unchanged).toBe(1);
      const seen = (await install.run(context(), {
        node: "monitor1",
        beside: true,
        wait: "90s",
      })) as JsonObject;
      expect(seen).toMatchObject({ targets: 4, up: 4, silent: [] });
      const query = encodeURIComponent(`pg_up{cluster="${cluster}"}`);
      const answer = await fetch(`${String(made["prometheus"])}/api/v1/query?query=${query}`);
      const { data } = (await answer.json()) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      expect(data.result.map(({ metric, value }) => [metric["instance"], value[1]])).toEqual([
        [cluster, "1"],
      ]);
      const rule = { expr: "up == 7", severity: "warning", summary: "Seven" };
      expect(
        await ownRule.run(context(), { node: "monitor1", beside: true, name: "Seven", rule }),
      ).toMatchObject({ state: "inactive", rules: ["Seven"] });
      expect(await watchers.run(context(), {})).toEqual({
        nodes: [{ node: "monitor1", beside: true, running: true }],
      });
      expect(await besideRemove.run(context(), { nodes: ["monitor1"] })).toEqual({
        removed: ["monitor1"],
      });
      expect(await watchers.run(context(), {})).toEqual({ nodes: [] });
      expect(await accountRemove.run(context(), {})).toMatchObject({ removed: true });
      const admin = await clientOf(server);
      const { rowCount } = await admin.query(
        "select from pg_roles where rolname = 'pgdba_monitor'",
      );
      await admin.end();
      expect(rowCount).toBe(0);
    }, 300_000);
  },
);
