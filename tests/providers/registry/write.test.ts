import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import { asideFolder, forgetCluster, restoreCluster } from "../../../providers/registry/forget.ts";
import { readRegistry } from "../../../providers/registry/folder.ts";
import {
  changeCluster,
  finished,
  releaseCluster,
  reserveCluster,
} from "../../../providers/registry/write.ts";
import { codeOf } from "../postgres/helpers.ts";

const root = mkdtempSync(join(tmpdir(), "pgdba-registry-"));
let dir: string;
let count = 0;
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  dir = join(root, String(++count));
  mkdirSync(dir);
});

const RUN = "20260102-030405-aaaaaa";
const OTHER = "20260102-030405-bbbbbb";
const fileOf = (name: string) => join(dir, "clusters", `${name}.yaml`);
const textOf = (name: string) => readFileSync(fileOf(name), "utf8");
function write(name: string, text: string): void {
  mkdirSync(join(dir, "clusters"), { recursive: true });
  writeFileSync(fileOf(name), text, { mode: 0o644 });
}
const told: string[] = [];
const reserve = (name: string, run = RUN, secrets: string[] = []) =>
  reserveCluster(dir, name, {
    run,
    ownership: "managed",
    provider: "embedded",
    secrets,
    onSecret: (value) => told.push(value),
  });

const HAND_WRITTEN = `# Ask Ann before you touch this.
ownership: connected   # not ours

labels: [ production, "eu" ]
system_identifier: '77'
postgres:
  host: db1     # behind the VIP
  port: 5432
  user: pgdba
  password_env: ORDERS_PW
nodes:
  # the old machine
  - {name: pg1, roles: [postgres]}
  - {name: pg2, roles: [postgres]}   # the new one
`;

describe("a change", () => {
  test("leaves all that it does not change, with its comments", async () => {
    write("orders", HAND_WRITTEN);
    await changeCluster(dir, "orders", (before) => ({
      ...before!.data,
      postgres: { ...before!.data.postgres!, host: "db2" },
      nodes: [
        ...before!.data.nodes!.slice(0, 1),
        { name: "pg3", roles: ["postgres"], address: { host: "h", port: 5433 } },
      ],
      cluster_id: "abc",
    }));
    const after = textOf("orders");
    for (const kept of ["# Ask Ann", "# not ours", "# behind the VIP", "# the old machine", '"eu"'])
      expect(after).toContain(kept);
    expect(after).not.toContain("# the new one");
    const { entries } = await readRegistry(dir);
    expect(entries[0]?.data).toMatchObject({
      postgres: { host: "db2", port: 5432, password_env: "ORDERS_PW" },
      nodes: [
        { name: "pg1", roles: ["postgres"] },
        { name: "pg3", roles: ["postgres"], address: { host: "h", port: 5433 } },
      ],
      cluster_id: "abc",
      system_identifier: "77",
    });
    expect(statSync(fileOf("orders")).mode & 0o777).toBe(0o600);
  });

  test("of a list keeps each item's own comment, whatever comes, goes or moves", async () => {
    const named = ["a", "b", "c", "d", "e"];
    const text = `ownership: connected\npostgres: {host: h, user: u}\nnodes:\n${named.map((name) => `  - {name: ${name}, roles: [postgres]} # ${name} here\n`).join("")}`;
    for (const wanted of [
      "bcde",
      "abce",
      "ace",
      "",
      "abcdef",
      "edcba",
      "aXe",
      "Xabcde",
      "ba",
      "e",
    ]) {
      write("orders", text);
      const nodes = [...wanted].map((name) => ({ name, roles: ["postgres" as const] }));
      const entry = await changeCluster(dir, "orders", ({ data } = {} as never) => ({
        ...data,
        nodes,
      }));
      expect(entry?.data.nodes).toEqual(nodes);
      const lines = textOf("orders").split("\n");
      for (const line of lines.filter((one) => one.includes("#")))
        expect(line).toMatch(/name: (\w), .*# \1 here/);
    }
    write("orders", text);
    await changeCluster(dir, "orders", ({ data } = {} as never) => ({
      ...data,
      nodes: ["b", "c", "e"].map((name) => ({ name, roles: ["etcd" as const] })),
    }));
    expect(textOf("orders").match(/# \w here/g)).toEqual(["# b here", "# c here", "# e here"]);
  });

  test("that changes nothing does not write, and one that throws leaves all as it was", async () => {
    write("orders", HAND_WRITTEN);
    await changeCluster(dir, "orders", (before) => before!.data);
    expect(statSync(fileOf("orders")).mode & 0o777).toBe(0o644);
    const failing = changeCluster(dir, "orders", () => {
      throw new PgdbaError("step_refused", "no");
    });
    expect(await codeOf(failing)).toBe("step_refused");
    expect(textOf("orders")).toBe(HAND_WRITTEN);
    expect(readdirSync(join(dir, "clusters")).toSorted()).toEqual([".lock", "orders.yaml"]);
  });

  test("never writes what can't be read again, nor over what can't be read", async () => {
    write("orders", HAND_WRITTEN);
    const bad = changeCluster(dir, "orders", (before) => ({
      ...before!.data,
      postgres: { host: "a,b", user: "u" },
    }));
    expect(await codeOf(bad)).toBe("invalid_config");
    expect(textOf("orders")).toBe(HAND_WRITTEN);
    write("broken", "{");
    expect(await codeOf(reserve("broken"))).toBe("invalid_config");
    expect(textOf("broken")).toBe("{");
    symlinkSync("/dev/null", fileOf("device"));
    expect(await codeOf(reserve("device"))).toBe("invalid_config");
    expect(await codeOf(reserve("../device"))).toBe("invalid_param");
  });

  test.each([
    ["a system identifier", { system_identifier: "78" }],
    ["none", { system_identifier: undefined }],
    ["a cluster id", { cluster_id: "other" }],
    ["a Patroni scope", { patroni: { endpoints: ["http://a:1"], scope: "other" } }],
  ])("never makes it another cluster's: %s", async (_name, mark) => {
    write(
      "orders",
      `${HAND_WRITTEN}cluster_id: mine\npatroni: {endpoints: ["http://a:1"], scope: mine}\n`,
    );
    const other = changeCluster(dir, "orders", (before) => ({ ...before!.data, ...mark }) as never);
    expect(await codeOf(other)).toBe("identity_mismatch");
    expect(textOf("orders")).toContain("'77'");
  });

  test.each([
    [
      "a document marker",
      "---\n# first\nownership: connected\npostgres: {host: h, user: u}\n...\n",
    ],
    [
      "a byte order mark and line ends of Windows",
      "\uFEFFownership: connected # c\r\npostgres: {host: h, user: u}\r\n",
    ],
    ["JSON", '{"ownership": "connected", "postgres": {"host": "h", "user": "u"}}\n'],
    [
      "long texts and odd characters",
      `ownership: connected\nlabels: ["${"x ".repeat(200)}", "a: b", "#no", "ü\\n"]\npostgres: {host: h, user: "o'neill \\"x\\""}\n`,
    ],
  ])("keeps what stands in a file with %s", async (_name, text) => {
    write("orders", text);
    const { entries } = await readRegistry(dir);
    const before = entries[0]!.data;
    await changeCluster(dir, "orders", ({ data } = {} as never) => ({ ...data, version: 18 }));
    expect((await readRegistry(dir)).entries[0]?.data).toEqual({ ...before, version: 18 });
    await changeCluster(dir, "orders", () => before);
    expect((await readRegistry(dir)).entries[0]?.data).toEqual(before);
  });

  test("that is killed in the middle leaves the old or the new, and nobody waits for it", async () => {
    await reserve("orders");
    const script = `import { changeCluster } from ${JSON.stringify(join(import.meta.dir, "../../../providers/registry/write.ts"))};
      console.log("go");
      for (let i = 0; ; i++) await changeCluster(${JSON.stringify(dir)}, "orders", (before) =>
        ({ ...before.data, labels: Array.from({ length: 200 }, () => "l" + i) }));`;
    for (let round = 0; round < 8; round++) {
      const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
      await child.stdout.getReader().read();
      await Bun.sleep(round * 7);
      child.kill("SIGKILL");
      await child.exited;
      const { entries, unread } = await readRegistry(dir);
      expect(unread).toEqual([]);
      expect(new Set(entries[0]?.labels).size).toBeLessThanOrEqual(1);
      const begun = performance.now();
      await changeCluster(dir, "orders", ({ data } = {} as never) => ({
        ...data,
        version: 13 + round,
      }));
      expect(performance.now() - begun).toBeLessThan(20_000);
    }
  }, 300_000);

  test("goes after another, from this process and others: none is lost", async () => {
    await reserve("orders");
    const script = `import { changeCluster } from ${JSON.stringify(join(import.meta.dir, "../../../providers/registry/write.ts"))};
      for (let i = 0; i < 10; i++) await changeCluster(${JSON.stringify(dir)}, "orders", (before) =>
        ({ ...before.data, labels: [...(before.data.labels ?? []), process.argv[1] + i] }));`;
    const children = ["a", "b", "c"].map((name) =>
      Bun.spawn([process.execPath, "-e", script, name], { stdout: "ignore", stderr: "inherit" }),
    );
    await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        changeCluster(dir, "orders", (before) => ({
          ...before!.data,
          labels: [...(before!.data.labels ?? []), `here${at}`],
        })),
      ),
    );
    expect(await Promise.all(children.map((child) => child.exited))).toEqual([0, 0, 0]);
    const { entries } = await readRegistry(dir);
    expect(new Set(entries[0]?.labels).size).toBe(40);
  }, 300_000);
});

describe("a name", () => {
  test("is reserved before anything is made, with its secrets", async () => {
    const { entry, isNew } = await reserve("orders", RUN, ["superuser", "replication"]);
    expect([isNew, entry.partial, entry.spec]).toEqual([true, RUN, null]);
    const file = join(dir, "secrets/orders/superuser");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "secrets/orders")).mode & 0o777).toBe(0o700);
    const value = readFileSync(file, "utf8").trim();
    expect(value).toMatch(/^[\w-]{32}$/);
    expect(told).toContain(value);
    expect(textOf("orders")).not.toContain(value);
    // The same run after a crash: a server may have that password by now.
    expect((await reserve("orders", RUN, ["superuser", "replication"])).isNew).toBe(false);
    expect(readFileSync(file, "utf8").trim()).toBe(value);
  });

  test("that is taken is refused, and says by whom", async () => {
    await reserve("orders");
    const taken = await reserve("orders", OTHER).catch((error: PgdbaError) => error);
    expect([(taken as PgdbaError).code, (taken as PgdbaError).message]).toEqual([
      "step_refused",
      `The name orders is reserved by run ${RUN}, which did not finish`,
    ]);
    write("shop", HAND_WRITTEN);
    expect(await codeOf(reserve("shop"))).toBe("step_refused");
    // The built-in cluster's, also before it is made.
    expect(await codeOf(reserve("lab"))).toBe("step_refused");
  });

  test("of which passwords are left without an entry is refused, and they stay", async () => {
    await reserve("orders", RUN, ["superuser", "replication"]);
    const file = join(dir, "secrets/orders/superuser");
    const value = readFileSync(file, "utf8");
    rmSync(fileOf("orders"));
    expect(await codeOf(reserve("orders", OTHER, ["superuser", "replication"]))).toBe(
      "step_refused",
    );
    expect(await releaseCluster(dir, "orders", OTHER)).toBe(false);
    expect([readFileSync(file, "utf8"), existsSync(fileOf("orders"))]).toEqual([value, false]);
    // Those that it does not make are no concern of its.
    expect((await reserve("orders", OTHER, ["other"])).isNew).toBe(true);
  });

  test("is given to one of many that ask at once", async () => {
    const runs = Array.from({ length: 20 }, (_, at) => `20260102-030405-${at}`);
    const got = await Promise.all(
      runs.map((run) =>
        reserve("orders", run).then(
          () => run,
          () => null,
        ),
      ),
    );
    const winners = got.filter((run) => run !== null);
    expect(winners).toHaveLength(1);
    expect(textOf("orders")).toContain(`partial: ${winners[0]}`);
  });

  test("is free again when its run takes it back, and only then", async () => {
    await reserve("orders", RUN, ["superuser"]);
    expect(await releaseCluster(dir, "orders", OTHER)).toBe(false);
    expect(existsSync(fileOf("orders"))).toBe(true);
    expect(await releaseCluster(dir, "orders", RUN)).toBe(true);
    expect(existsSync(fileOf("orders"))).toBe(false);
    expect(existsSync(join(dir, "secrets/orders"))).toBe(false);
    expect(await releaseCluster(dir, "orders", RUN)).toBe(false);
    await reserve("orders", OTHER);
    await changeCluster(dir, "orders", (before) => ({
      ...finished(before!.data),
      postgres: { host: "h", user: "u" },
    }));
    // It is finished: what comes too late takes nothing away.
    expect(await releaseCluster(dir, "orders", OTHER)).toBe(false);
    expect(existsSync(fileOf("orders"))).toBe(true);
  });
});

describe("forgetting", () => {
  const forget = (name: string) => forgetCluster(dir, { name, run: RUN }, () => {});

  test("keeps the entry and its secrets aside, and puts them back as they were", async () => {
    await reserve("orders", RUN, ["superuser"]);
    const text = textOf("orders");
    const secret = readFileSync(join(dir, "secrets/orders/superuser"), "utf8");
    expect(await forget("orders")).toMatchObject({ entry: { name: "orders" } });
    expect(existsSync(fileOf("orders"))).toBe(false);
    expect(existsSync(join(dir, "secrets/orders"))).toBe(false);
    const aside = asideFolder(dir, "orders", RUN);
    expect(statSync(aside).mode & 0o777).toBe(0o700);
    expect(statSync(join(aside, "secrets/superuser")).mode & 0o777).toBe(0o600);
    // Done again by the same run, as after a crash.
    expect(await forget("orders")).toMatchObject({ entry: { name: "orders" } });
    expect(await restoreCluster(dir, "orders", RUN)).toBe(true);
    expect(textOf("orders")).toBe(text);
    expect(readFileSync(join(dir, "secrets/orders/superuser"), "utf8")).toBe(secret);
    expect(existsSync(aside)).toBe(false);
    expect(await restoreCluster(dir, "orders", RUN)).toBe(false);
  });

  test("of what can't be read keeps it aside too; of what is not there says so", async () => {
    write("broken", "{");
    expect(await forget("broken")).toMatchObject({ problem: { code: "invalid_config" } });
    expect(await restoreCluster(dir, "broken", RUN)).toBe(true);
    expect(textOf("broken")).toBe("{");
    expect(await forget("nowhere")).toBeUndefined();
  });

  test("is not taken back over another cluster", async () => {
    write("orders", HAND_WRITTEN);
    await forget("orders");
    await reserve("orders", OTHER);
    expect(await codeOf(restoreCluster(dir, "orders", RUN))).toBe("step_refused");
    expect(textOf("orders")).toContain(OTHER);
    expect(readFileSync(join(asideFolder(dir, "orders", RUN), "cluster.yaml"), "utf8")).toBe(
      HAND_WRITTEN,
    );
  });

  test("leaves it alone when it must stay", async () => {
    write("orders", HAND_WRITTEN);
    const refused = forgetCluster(dir, { name: "orders", run: RUN }, () => {
      throw new PgdbaError("step_refused", "no");
    });
    expect(await codeOf(refused)).toBe("step_refused");
    expect(textOf("orders")).toBe(HAND_WRITTEN);
    expect(existsSync(join(dir, "forgotten"))).toBe(false);
  });
});

test("a cluster by TLS has an authority of its own, made once, whose key is a secret; released, both are gone", async () => {
  const reservation = {
    run: RUN,
    ownership: "managed" as const,
    secrets: ["superuser"],
    variables: { superuser: "ORDERS_PASSWORD" },
    tls: { authority: "ca", names: ["db.example.com"] },
    onSecret: (value: string) => told.push(value),
  };
  const { entry } = await reserveCluster(dir, "orders", reservation);
  expect(entry.data.tls).toEqual({
    cafile: "../secrets/orders/ca.crt",
    authority: "ca",
    names: ["db.example.com"],
  });
  expect(entry.data.secrets).toEqual({
    superuser: { env: "ORDERS_PASSWORD" },
    ca: { file: "secrets/orders/ca" },
  });
  const [key, certificate] = ["ca", "ca.crt"].map((name) => join(dir, "secrets/orders", name));
  const made = readFileSync(key!, "utf8");
  expect(told).toContain(made.trimEnd());
  expect(statSync(key!).mode & 0o777).toBe(0o600);
  const shown = readFileSync(certificate!, "utf8");
  expect(shown).toStartWith("-----BEGIN CERTIFICATE-----");
  expect(made).toEndWith(shown);
  await reserveCluster(dir, "orders", reservation);
  expect(readFileSync(key!, "utf8")).toBe(made);
  expect(readFileSync(certificate!, "utf8")).toBe(shown);
  expect(await releaseCluster(dir, "orders", RUN)).toBe(true);
  expect(existsSync(join(dir, "secrets/orders"))).toBe(false);
});

test("what an entry does not say of its parts follows from its TLS", async () => {
  const text = (tls: string) => `ownership: managed
${tls}postgres: {host: db1, user: postgres}
patroni: {endpoints: ["https://db1:8008"], cafile: own.crt}
dcs: {kind: etcd3, endpoints: ["https://e1:2379"]}
pgbouncer: {instances: [{name: b1, host: b1}]}
`;
  write("orders", text("tls: {cafile: ../secrets/orders/ca.crt}\n"));
  write("plain", text(""));
  const { entries } = await readRegistry(dir);
  const [orders, plain] = ["orders", "plain"].map((one) =>
    entries.find(({ name }) => name === one)!,
  );
  const cafile = join(dir, "secrets/orders/ca.crt");
  expect(orders!.spec).toMatchObject({ sslmode: "verify-full", sslrootcert: cafile });
  expect(orders!.patroni?.cafile).toBe(join(dir, "clusters/own.crt"));
  expect(orders!.dcs?.cafile).toBe(cafile);
  expect(orders!.pgbouncer).toMatchObject({ sslmode: "verify-full", cafile });
  expect(plain!.spec?.sslmode).toBe("prefer");
  expect(plain!.dcs?.cafile).toBeUndefined();
});
