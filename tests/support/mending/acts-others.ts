/** Runbooks that mend roles, sessions, slots, transactions, extensions, subscriptions, settings and standbys, with what each is to mend. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { DATABASE, type Scene } from "./scene.ts";
import type { Act } from "./trial.ts";

const SHOP = `CREATE SCHEMA shop;
  CREATE TABLE shop.orders (id serial PRIMARY KEY, note text);
  CREATE TABLE shop.lines (id serial PRIMARY KEY, note text);
`;
const planted = (text: string) => (scene: Scene) => scene.sql(text).then(() => {});
const confirmed = (name: string) => ["--confirmed", name];

async function logsIn(scene: Scene, user: string, password: string): Promise<string[]> {
  const { host, port } = scene.server;
  const client = new Client({ host, port, user, password, database: DATABASE });
  return client.connect().then(
    () => client.end().then(() => []),
    (error: Error) => [`${user} can't log in: ${error.message}`],
  );
}

/** A subscription of the database to another one of the same server. */
const subscribed =
  (enabled: boolean, then = "SELECT 1") =>
  async (scene: Scene): Promise<void> => {
    const { host, port, user, password } = scene.server;
    await scene.sql("CREATE DATABASE beside", "postgres");
    await scene.sql(
      `CREATE TABLE orders (id int PRIMARY KEY);\nINSERT INTO orders VALUES (1);\nCREATE PUBLICATION p FOR TABLE orders;
       SELECT pg_create_logical_replication_slot('feed', 'pgoutput')`,
      "beside",
    );
    await scene.sql(
      `CREATE TABLE orders (id int PRIMARY KEY);\nCREATE TABLE late (id int PRIMARY KEY);
       CREATE SUBSCRIPTION feed CONNECTION 'host=${host} port=${port} user=${user} password=${password} dbname=beside' PUBLICATION p WITH (create_slot = false, slot_name = feed, enabled = ${enabled})`,
    );
    if (enabled)
      await scene.until(
        async () =>
          (await scene.sql("SELECT FROM pg_subscription_rel WHERE srsubstate <> 'r'")).length === 0,
        "copied",
      );
    await scene.sql(then, "beside");
  };

async function sleepers(scene: Scene): Promise<void> {
  for (const name of ["app1", "app1"]) {
    const client = await scene.session(name);
    client.query("SELECT pg_sleep(600)").catch(() => {});
  }
  await scene.until(
    async () =>
      (await scene.sql("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"))
        .length === 2,
    "they sleep",
  );
}

export const OTHERS: Record<string, Act> = {
  "session/terminate": {
    plant: sleepers,
    words: ["session", "terminate", "--application", "app1"],
  },
  "session/cancel": {
    plant: sleepers,
    words: ["session", "cancel", "--application", "app1"],
    judge: async (scene) => {
      const rows = await scene.sql(
        "SELECT FROM pg_stat_activity WHERE application_name = 'app1' AND state = 'active'",
      );
      return rows.length === 0 ? [] : [`${rows.length} are at it still`];
    },
  },
  "slot/drop": {
    plant: planted("SELECT pg_create_physical_replication_slot('gone', true)"),
    words: ["slot", "drop", "gone", ...confirmed("gone")],
  },
  "slot/drop (logical)": {
    plant: planted("SELECT pg_create_logical_replication_slot('gone', 'pgoutput')"),
    words: ["slot", "drop", "gone", ...confirmed("gone")],
  },
  "slot/advance": {
    plant: planted(
      "SELECT pg_create_logical_replication_slot('late', 'pgoutput');\nCREATE TABLE t (n int)",
    ),
    words: ["slot", "advance", "late", ...confirmed("late")],
  },
  "prepared/commit": {
    template: "CREATE TABLE t (n int);",
    plant: async (scene) => {
      const client = await scene.session();
      for (const text of ["BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION 'two;1'"])
        await client.query(text);
    },
    words: ["prepared", "commit", "two;1", ...confirmed("two;1")],
  },
  "prepared/rollback": {
    template: "CREATE TABLE t (n int);",
    plant: async (scene) => {
      const client = await scene.session();
      for (const text of ["BEGIN", "INSERT INTO t VALUES (1)", "PREPARE TRANSACTION 'two;1'"])
        await client.query(text);
    },
    words: ["prepared", "rollback", "two;1", ...confirmed("two;1")],
  },
  "role/create": {
    plant: planted("CREATE ROLE readers;\nCREATE ROLE writers"),
    words: ["role", "create", "anna", "--member-of", "readers", "--member-of", "writers"],
  },
  "role/drop": {
    template: SHOP,
    plant: async (scene) => {
      await scene.sql("CREATE DATABASE beside", "postgres");
      await scene.sql(
        "CREATE ROLE leaver LOGIN;\nCREATE ROLE heir;\nALTER TABLE shop.orders OWNER TO leaver;\nGRANT SELECT ON shop.lines TO leaver",
      );
      await scene.sql("CREATE TABLE theirs (n int);\nALTER TABLE theirs OWNER TO leaver", "beside");
    },
    words: ["role", "drop", "leaver", "--heir", "heir", ...confirmed("leaver")],
  },
  "role/grant": {
    template: SHOP,
    plant: planted("CREATE ROLE app;\nCREATE ROLE owner;\nALTER TABLE shop.orders OWNER TO owner"),
    words: ["role", "grant", "app", "shop", "--rights", "write", "--future-by", "owner"],
  },
  "role/revoke": {
    template: `${SHOP}  GRANT USAGE ON SCHEMA shop TO PUBLIC;
      GRANT SELECT ON ALL TABLES IN SCHEMA shop TO PUBLIC;`,
    plant: planted("CREATE ROLE app LOGIN;\nCREATE ROLE other LOGIN"),
    words: ["role", "revoke", "PUBLIC", "shop", "--keep", "app", "--others-lose"],
  },
  "role/leave": {
    plant: planted("CREATE ROLE readers;\nCREATE ROLE app LOGIN IN ROLE readers"),
    words: ["role", "leave", "app", "readers"],
  },
  "role/set": {
    plant: planted("CREATE ROLE app LOGIN"),
    words: [
      "role",
      "set",
      "app",
      "--settings",
      '{"work_mem": "7MB", "statement_timeout": "30s"}',
      "--connection-limit",
      "5",
    ],
  },
  "role/password": {
    plant: planted("CREATE ROLE app LOGIN PASSWORD 'old-one'"),
    env: { NEW_ONE: "brand-new-one" },
    words: ["role", "password", "app", "--password", "env:NEW_ONE", "--valid-until", "2040-01-01"],
    judge: (scene) => logsIn(scene, "app", "brand-new-one"),
  },
  "role/password (made)": {
    plant: planted("CREATE ROLE app LOGIN PASSWORD 'old-one'"),
    words: ["role", "password", "app"],
    judge: async (scene, at) => {
      const found = [...new Bun.Glob("passwords/*").scanSync(at.home)].toSorted();
      const newest = found.findLast((file) => !file.endsWith(".before"));
      if (newest === undefined) return ["no file has the password"];
      return logsIn(scene, "app", readFileSync(join(at.home, newest), "utf8").trim());
    },
  },
  "extension/create": { words: ["extension", "create", "hstore"] },
  "extension/update": {
    template: "CREATE EXTENSION hstore VERSION '1.4';\n  CREATE EXTENSION pg_trgm VERSION '1.3';",
    words: ["extension", "update"],
  },
  "extension/drop": {
    template: "CREATE EXTENSION hstore;",
    words: ["extension", "drop", "hstore"],
  },
  "subscription/enable": {
    plant: subscribed(false),
    words: ["subscription", "enable", "feed"],
    ignores: /^(copied|rows)/,
  },
  "subscription/disable": { plant: subscribed(true), words: ["subscription", "disable", "feed"] },
  "subscription/refresh": {
    plant: subscribed(
      true,
      "CREATE TABLE late (id int PRIMARY KEY);\nALTER PUBLICATION p ADD TABLE late",
    ),
    words: ["subscription", "refresh", "feed"],
    ignores: /^copied/,
  },
  "config/apply": {
    words: [
      "config",
      "apply",
      "--settings",
      '{"work_mem": "7MB", "log_min_duration_statement": "5s"}',
    ],
  },
  "replica/replay-pause": { at: "standby", words: ["replica", "replay-pause"] },
  "replica/replay-resume": { at: "standby", words: ["replica", "replay-resume"] },
};

/** How a standby stands before each trial. */
const replay = (verb: "pause" | "resume") => async (scene: Scene) => {
  const { standby } = scene;
  const { host, port, user, password } = standby!;
  const client = new Client({ host, port, user, password, database: "postgres" });
  await client.connect();
  await client.query(`SELECT pg_wal_replay_${verb}()`);
  await client.end();
};
OTHERS["replica/replay-pause"]!.plant = replay("resume");
OTHERS["replica/replay-resume"]!.plant = replay("pause");
