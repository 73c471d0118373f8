import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LockWord, Target } from "../../../engine/types.ts";
import type { TargetFlags } from "../../../providers/target/options.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { clientOf, createDatabase, sharedServer, type TestServer } from "../../support/postgres.ts";
import { codeOf } from "../postgres/helpers.ts";
import { postgresOf } from "../../support/target.ts";
import { clusterSource } from "../../../providers/target/cluster.ts";
import { environmentSource } from "../../../providers/target/environment.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-targets-"));
let server: TestServer;
const secrets: string[] = [];
const open: Target[] = [];
const stopLong = new AbortController();

async function resolve(flags: TargetFlags, env: Record<string, string> = {}): Promise<Target> {
  const target = await resolveTarget({
    flags,
    env,
    stateDir: dir,
    onSecret: (value) => secrets.push(value),
    suggest: (word, candidates) =>
      [...candidates].find((name) => name.startsWith(word.slice(0, 3))),
  });
  open.push(target);
  return target;
}

async function specFrom(flags: TargetFlags, env: Record<string, string> = {}) {
  await resolve(flags, env);
  const options = { flags, env, stateDir: dir, onSecret: (value: string) => secrets.push(value) };
  const source =
    flags.cluster === undefined
      ? environmentSource(options)
      : await clusterSource(flags.cluster, options);
  return source!.spec;
}

function register(name: string, yaml: string): void {
  mkdirSync(join(dir, "clusters"), { recursive: true });
  writeFileSync(join(dir, "clusters", `${name}.yaml`), yaml);
}

/** A target on the shared server, with the password in the environment. */
function onServer(flags: TargetFlags = {}, env: Record<string, string> = {}): Promise<Target> {
  return resolve(
    { host: server.host, port: server.port, user: server.user, database: "postgres", ...flags },
    { PGPASSWORD: server.password, ...env },
  );
}

beforeAll(async () => {
  server = await sharedServer();
});
afterAll(async () => {
  for (const target of open) await target.close();
  rmSync(dir, { recursive: true });
});

describe("from flags and environment", () => {
  test("nothing given is a target without a connection", async () => {
    const target = await resolve({}, { PGSSLMODE: "require", USER: "me" });
    expect([target.name, target.use]).toEqual(["none", undefined]);
    expect(await target.facts()).toEqual({
      state: "none",
      identity: null,
      capabilities: [],
      facts: {},
    });
  });

  test.each<[string, TargetFlags, Record<string, string>, string]>([
    ["flags", { host: "h", port: "1", user: "u", database: "d" }, {}, "u@h:1/d"],
    [
      "our variables",
      {},
      { PGDBA_PG_HOST: "h", PGDBA_PG_PORT: "2", PGDBA_PG_USER: "u", PGDBA_PG_DATABASE: "d" },
      "u@h:2/d",
    ],
    [
      "the usual variables",
      {},
      { PGHOST: "h", PGPORT: "3", PGUSER: "u", PGDATABASE: "d" },
      "u@h:3/d",
    ],
    [
      "field by field",
      { user: "f" },
      { PGHOST: "p", PGDBA_PG_HOST: "q", PGUSER: "x", PGPORT: "4" },
      "f@q:4/f",
    ],
    [
      "an empty variable is none",
      {},
      { PGHOST: "h", PGDBA_PG_HOST: "", PGUSER: "u" },
      "u@h:5432/u",
    ],
    ["defaults", { host: "::1" }, { USER: "me" }, "me@[::1]:5432/me"],
    ["a socket", { host: "/run/pg", user: "u" }, {}, "u@/run/pg:5432/u"],
  ])("%s", async (_name, flags, env, expected) => {
    expect((await resolve(flags, env)).name).toBe(expected);
  });

  test.each([
    [{ port: "0" }, {}, "invalid_param"],
    [{ port: "5432; rm" }, {}, "invalid_param"],
    [{ host: "a,b" }, {}, "invalid_param"],
    [{ host: "h" }, { PGSSLMODE: "maybe" }, "invalid_config"],
    [{ host: "h" }, { PGDBA_PG_PASSWORD_FILE: "/nonexistent" }, "missing_secret"],
  ])("%o with %o is refused", async (flags, env, code) => {
    expect(await codeOf(resolve(flags, env as Record<string, string>))).toBe(code);
  });

  test("the password: ours, then a file, then PGPASSWORD, then the password file; each told to the masker", async () => {
    const file = join(dir, "secret");
    writeFileSync(file, "from-file\n");
    const passfile = join(dir, "pgpass");
    writeFileSync(
      passfile,
      "# comment\nother:*:*:*:wrong\nh:5432:d\\:x:u:pa\\:ss\\\\word\n*:*:*:*:last\n",
    );
    chmodSync(passfile, 0o600);
    const flags = { host: "h", user: "u", database: "d:x" };
    const all = {
      PGDBA_PG_PASSWORD: "ours",
      PGDBA_PG_PASSWORD_FILE: file,
      PGPASSWORD: "usual",
      PGPASSFILE: passfile,
    };
    secrets.length = 0;
    expect((await specFrom(flags, all)).password?.()).toBe("ours");
    expect((await specFrom(flags, { ...all, PGDBA_PG_PASSWORD: "" })).password?.()).toBe(
      "from-file",
    );
    expect(
      (await specFrom(flags, { PGPASSWORD: "usual", PGPASSFILE: passfile })).password?.(),
    ).toBe("usual");
    expect((await specFrom(flags, { PGPASSFILE: passfile })).password?.()).toBe("pa:ss\\word");
    expect((await specFrom({ ...flags, host: "z" }, { PGPASSFILE: passfile })).password?.()).toBe(
      "last",
    );
    expect(new Set(secrets)).toEqual(
      new Set(["ours", "usual", "from-file", "pa:ss\\word", "last"]),
    );
    chmodSync(passfile, 0o644);
    expect((await specFrom(flags, { PGPASSFILE: passfile })).password?.()).toBeUndefined();
  });
});

describe("from the registry", () => {
  const GOOD =
    "ownership: connected\nlabels: [production]\nsystem_identifier: '77'\npostgres: {host: h, user: u, sslmode: verify-full, password_env: SHOP_PW}\n";

  test("a cluster", async () => {
    register("shop", GOOD);
    const target = await resolve({ cluster: "shop" }, { SHOP_PW: "pw" });
    expect([
      target.name,
      target.cluster,
      target.ownership,
      target.expectedIdentity,
      target.labels,
    ]).toEqual(["shop", "shop", "connected", "77", ["production"]]);
    const spec = await specFrom({ cluster: "shop" }, { SHOP_PW: "pw" });
    expect((await postgresOf(target)).spec).not.toHaveProperty("password");
    expect([spec.host, spec.port, spec.database, spec.sslmode, spec.password?.()]).toEqual([
      "h",
      5432,
      "postgres",
      "verify-full",
      "pw",
    ]);
  });

  test("a password under `secrets`, in a file of the state folder or in a variable", async () => {
    writeFileSync(join(dir, "pw"), "in-file\n", { mode: 0o600 });
    const secrets = "secrets: {a: {file: pw}, b: {env: SHOP_PW}}\n";
    const passwordOf = async (name: string) => {
      register("kept", GOOD.replace("password_env: SHOP_PW", `password_secret: ${name}`) + secrets);
      return (await specFrom({ cluster: "kept" }, { SHOP_PW: "in-env" })).password?.();
    };
    expect([await passwordOf("a"), await passwordOf("b")]).toEqual(["in-file", "in-env"]);
    rmSync(join(dir, "clusters", "kept.yaml"));
  });

  test("a variable that is not set is named", async () => {
    register(
      "both",
      GOOD.replace("password_env: SHOP_PW", "password_env: A_PW, password_file_env: B_FILE"),
    );
    const { state, why } = await (await resolve({ cluster: "both" })).facts();
    expect([state, why?.code, why?.data]).toEqual([
      "unreachable",
      "missing_secret",
      { missing: ["A_PW", "B_FILE"] },
    ]);
  });

  test("an unknown name, with the nearest", async () => {
    const { state, why } = await (await resolve({ cluster: "shp" })).facts();
    expect([state, why?.code, why?.hint]).toEqual([
      "absent",
      "no_target",
      "Known clusters: both, lab, shop.",
    ]);
    const near = await (await resolve({ cluster: "shoop" })).facts();
    expect(near.why?.hint).toBe("Did you mean shop?");
  });

  test.each(["../shop", "a/b", "", ".hidden", "a\0b", "-x"])(
    "the name %j is refused",
    async (name) => {
      expect(await codeOf(resolve({ cluster: name }))).toBe("invalid_param");
    },
  );

  test.each([
    ["not YAML", "{"],
    ["a list", "[]"],
    ["an unknown key", `${GOOD}extra: 1\n`],
    ["a password in it", GOOD.replace("password_env", "password")],
    ["no host", GOOD.replace("host: h, ", "")],
    ["no ownership", GOOD.replace("ownership: connected\n", "")],
    ["a bad mode", GOOD.replace("verify-full", "allow")],
    ["labels that are not text", GOOD.replace("[production]", "[1]")],
    ["an identifier that lost digits", GOOD.replace("'77'", "7123456789012345678")],
    ["a key twice", `${GOOD}ownership: managed\n`],
    ["an alias", `${GOOD}x: &a 1\ny: *a\n`],
  ])("%s is refused", async (_name, yaml) => {
    register("bad", yaml);
    expect(await codeOf(resolve({ cluster: "bad" }, { SHOP_PW: "pw" }))).toBe("invalid_config");
  });
});

describe("a server", () => {
  test("tells its facts", async () => {
    const target = await onServer();
    const { identity, capabilities, facts } = await target.facts();
    const client = await clientOf(server);
    const { rows } = await client.query(
      "SELECT system_identifier::text AS id FROM pg_control_system()",
    );
    await client.end();
    expect(identity).toBe(rows[0].id);
    expect(capabilities).toEqual(["postgres", "primary", "superuser", "pg_monitor"]);
    expect(facts).toMatchObject({
      role: "primary",
      database: "postgres",
      user: "postgres",
      address: "127.0.0.1/32",
    });
    expect(await target.facts()).toBe(await target.facts());
  });

  test("tells a plain role less, without failing", async () => {
    const database = await createDatabase(server);
    const client = await clientOf(server, database);
    await client.query(
      "CREATE EXTENSION pg_stat_statements; CREATE ROLE plain LOGIN PASSWORD 'pw'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public",
    );
    await client.end();
    const { identity, capabilities } = await (
      await onServer({ user: "plain", database }, { PGPASSWORD: "pw" })
    ).facts();
    expect([identity, capabilities]).toEqual([null, ["postgres", "primary", "pg_stat_statements"]]);
  });
});

describe("the lock", () => {
  test("excludes another engine, in another database too, and names the holder", async () => {
    const [first, second] = [
      await onServer(),
      await onServer({ database: await createDatabase(server) }),
    ];
    const lock = await first.lock?.("run-1 on host-a");
    if (lock === undefined || "heldBy" in lock) throw new Error("not taken");
    expect(await second.lock?.("run-2")).toEqual({ heldBy: "run-1 on host-a", word: "all" });
    // The step's own name does not hide the holder's.
    await (await postgresOf(first)).session();
    expect(await second.lock?.("run-2")).toEqual({ heldBy: "run-1 on host-a", word: "all" });
    expect(await lock.held()).toBe("held");
    await lock.release();
    expect(await lock.held()).toMatchObject({ heldBy: expect.any(String) });
    const next = await second.lock?.("run-2");
    if (next === undefined || "heldBy" in next) throw new Error("not taken");
    await next.release();
  });

  test("whoever is refused holds nothing, and of those that come at once from many databases one gets it", async () => {
    const databases = await Promise.all(Array.from({ length: 5 }, () => createDatabase(server)));
    const targets = await Promise.all(databases.map((database) => onServer({ database })));
    const client = await clientOf(server);
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(targets.map((each, at) => each.lock!(`run-${at}`)));
      const taken = answers.filter((answer) => "held" in answer);
      expect(taken).toHaveLength(1);
      const { rows } = await client.query(
        "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory'",
      );
      expect(rows).toHaveLength(1);
      for (const lock of taken) await lock.release();
    }
    await client.end();
  });

  test("there is one for each word: equal words exclude each other, `all` each, in other databases too", async () => {
    const [one, two, far] = [
      await onServer(),
      await onServer(),
      await onServer({ database: await createDatabase(server) }),
    ];
    const take = async (target: Target, run: string, words: LockWord[]) => {
      const lock = await target.lock!(run, words);
      if ("heldBy" in lock) throw new Error(`held by ${lock.heldBy}`);
      return lock;
    };
    const backup = await take(one, "long", ["backup"]);
    expect(await two.lock!("next", ["backup"])).toEqual({ heldBy: "long", word: "backup" });
    expect(await two.lock!("next", ["all"])).toEqual({ heldBy: "long", word: "backup" });
    expect(await far.lock!("next", ["roles", "backup"])).toEqual({
      heldBy: "long",
      word: "backup",
    });
    // Who was refused one of them has none of them.
    const roles = await take(two, "failover", ["roles"]);
    const config = await take(far, "apply", ["config"]);
    expect(await Promise.all([backup, roles, config].map((lock) => lock.held()))).toEqual([
      "held",
      "held",
      "held",
    ]);
    for (const lock of [backup, roles, config]) await lock.release();
    const all = await take(far, "destroy", ["all"]);
    for (const word of ["backup", "config", "roles"] as const)
      expect(await one.lock!("next", [word])).toEqual({ heldBy: "destroy", word });
    await all.release();
  });

  test("a statement of the run that lets it go loses it only to another run", async () => {
    const [mine, other] = [await onServer(), await onServer()];
    const lock = await mine.lock!("run-1");
    if ("heldBy" in lock) throw new Error("not taken");
    const session = await (await postgresOf(mine)).session();
    await session.query("SELECT pg_advisory_unlock_all()");
    expect(await lock.held()).toBe("held");
    expect(await other.lock!("run-2")).toHaveProperty("heldBy");
    await session.query("SELECT pg_advisory_unlock_all()");
    const theirs = await other.lock!("run-2");
    if ("heldBy" in theirs) throw new Error("not free");
    expect(await lock.held()).toMatchObject({ heldBy: expect.any(String) });
    await theirs.release();
    // What is under way was allowed to begin; nobody waits for its end to know.
    const long = session.query("SELECT pg_sleep(30)", [], { signal: stopLong.signal });
    expect(await lock.held()).toBe("held");
    stopLong.abort();
    await long.catch(() => {});
    await lock.release();
  });

  test("goes on with a new session when its connection has ended", async () => {
    const target = await onServer();
    const lock = await target.lock?.("run-3");
    if (lock === undefined || "heldBy" in lock) throw new Error("not taken");
    const connection = await postgresOf(target);
    const { pid } = (await connection.session()).info;
    const client = await clientOf(server);
    await client.query("SELECT pg_terminate_backend($1)", [pid]);
    await client.end();
    // The server says goodbye before it lets the lock go: for a while the one in the way is our own.
    expect(await lock.held()).toBe("held");
    const again = await connection.session();
    expect(again.info.pid).not.toBe(pid);
    expect((await again.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    expect(await (await onServer()).lock?.("run-4")).toEqual({ heldBy: "run-3", word: "all" });
    await lock.release();
  });

  test("is let go within seconds where the server does not answer any more", async () => {
    const target = await onServer();
    const lock = await target.lock?.("me");
    if (lock === undefined || "heldBy" in lock) throw new Error("not taken");
    const { rows } = await (await postgresOf(target)).query("SELECT pg_backend_pid() AS pid");
    const pid = Number(rows[0]?.["pid"]);
    process.kill(pid, "SIGSTOP");
    try {
      const began = performance.now();
      await lock.release();
      await target.close();
      expect(performance.now() - began).toBeLessThan(15_000);
    } finally {
      process.kill(pid, "SIGCONT");
    }
  }, 300_000);

  test("is held by a process that is stopped, and free when it is gone", async () => {
    const script = `import { resolveTarget } from ${JSON.stringify(join(import.meta.dir, "../../../providers/target/resolve.ts"))};
      const t = await resolveTarget({ flags: { host: "${server.host}", port: ${server.port}, user: "postgres", database: "postgres" }, env: process.env, stateDir: "/nonexistent", onSecret() {} });
      const lock = await t.lock("other process"); console.log("held" in lock); await Bun.sleep(30000);`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { PGPASSWORD: server.password },
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      const { value } = await child.stdout.getReader().read();
      expect(new TextDecoder().decode(value).trim()).toBe("true");
      child.kill("SIGSTOP");
      const target = await onServer();
      expect(await target.lock?.("me")).toEqual({ heldBy: "other process", word: "all" });
      child.kill("SIGKILL");
      await child.exited;
      let mine = await target.lock?.("me");
      const ends = performance.now() + 20_000;
      while (mine !== undefined && "heldBy" in mine && performance.now() < ends) {
        await Bun.sleep(10);
        mine = await target.lock?.("me");
      }
      expect(mine !== undefined && "held" in mine && (await mine.held())).toBe("held");
    } finally {
      child.kill("SIGKILL");
    }
  });
});
