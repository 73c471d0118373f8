import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { composeMissing, docker } from "../../support/docker.ts";
import { clientOf } from "../../support/postgres.ts";
import { inspect, python, type Stack, startStack } from "./compose-stack.ts";

setDefaultTimeout(300_000);
const missing = composeMissing();
const here = missing ?? "here";
let stack: Stack;

beforeAll(async () => {
  if (missing === null) stack = await startStack();
}, 900_000);

afterAll(async () => {
  if (missing !== null) return;
  await stack?.down();
  const left = await docker(
    "ps",
    "-aq",
    "--filter",
    `label=com.docker.compose.project=${stack.project}`,
  );
  const volumes = await docker("volume", "ls", "-q", "--filter", `name=${stack.project}`);
  expect([left, volumes]).toEqual(["", ""]);
});

const app = (port: number) =>
  clientOf({
    host: "127.0.0.1",
    port,
    user: "app",
    password: stack.secrets["owner"]!,
    database: "app",
  } as never);

async function eventually<T>(work: () => Promise<T>, forMs = 90_000): Promise<T> {
  const ends = performance.now() + forMs;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > ends) throw error;
      await Bun.sleep(100);
    }
  }
}

async function ask(port: number, sql: string): Promise<unknown[]> {
  const client = await app(port);
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const write = () =>
  eventually(() => ask(stack.port.pgbouncer, "INSERT INTO written DEFAULT VALUES RETURNING id"));

test.skipIf(missing !== null)(
  `a write through PgBouncer reaches every standby (${here})`,
  async () => {
    await eventually(() =>
      ask(stack.port.pgbouncer, "CREATE TABLE IF NOT EXISTS written (id bigserial PRIMARY KEY)"),
    );
    const [row] = (await write()) as [{ id: string }];
    for (const name of ["pg1", "pg2", "pg3"] as const) {
      await eventually(async () => {
        const found = await ask(stack.port[name], `SELECT id FROM written WHERE id = ${row.id}`);
        if (found.length !== 1) throw new Error(`${name} has no such row yet`);
      });
    }
    const [extension] = await ask(
      stack.port.pgbouncer,
      "SELECT count(*)::int FROM pg_extension WHERE extname = 'pg_stat_statements'",
    );
    expect(extension).toEqual({ count: 1 });
  },
);

/** Every file that holds a secret, with its mode and the kind of its file system; each line of /proc that shows one. */
const SEARCH = `
import json, os, re, stat
plain = [open(f"/run/secrets/{n}").read().rstrip("\\n") for n in os.listdir("/run/secrets")]
# As it stands, and as JSON, a password file of libpq and one of PgBouncer write it.
written = [lambda s: s, lambda s: json.dumps(s)[1:-1], lambda s: re.sub(r"([\\\\:])", r"\\\\\\1", s), lambda s: s.replace('"', '""')]
secrets = {way(s).encode() for s in plain for way in written}
mounts = sorted((l.split()[1:3] for l in open("/proc/mounts")), key=lambda m: -len(m[0]))
kind = lambda p: next(t for m, t in mounts if p == m or p.startswith(m.rstrip("/") + "/"))
for top, folders, files in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/sys", "/dev", "/usr", "/run/secrets")]
    for name in files:
        path = os.path.join(top, name)
        mode = os.lstat(path)
        if not stat.S_ISREG(mode.st_mode) or mode.st_size > 64 << 20: continue
        text = open(path, "rb").read()
        if any(s in text for s in secrets): print(path, oct(stat.S_IMODE(mode.st_mode)), kind(path))
for pid in filter(str.isdigit, os.listdir("/proc")):
    for name in ("cmdline", "environ"):
        try: text = open(f"/proc/{pid}/{name}", "rb").read()
        except OSError: continue
        if any(s in text for s in secrets): print(f"/proc/{pid}/{name}", text)
for name in os.listdir("/run/secrets"):
    if os.stat(f"/run/secrets/{name}").st_mode & 0o077: print("wide", name)
`;

test.skipIf(missing !== null)(
  `no secret is seen from outside, nor in a file that others may read (${here})`,
  async () => {
    await write();
    const values = Object.values(stack.secrets);
    const shows = (text: string) =>
      values.filter(
        (value) => text.includes(value) || text.includes(JSON.stringify(value).slice(1, -1)),
      );
    for (const service of stack.services) {
      const container = stack.container(service);
      const image = await inspect(container, ".Image");
      const seen = await Promise.all([
        docker("inspect", container),
        docker("inspect", image),
        docker("history", "--no-trunc", image),
        docker("top", container, "auxwwe"),
        Bun.$`docker logs ${container} 2>&1`.text(),
      ]);
      expect({ service, shown: seen.flatMap(shows) }).toEqual({ service, shown: [] });
      const found = (await python(container, SEARCH)).trim().split("\n").filter(Boolean).toSorted();
      expect({ service, found }).toEqual({ service, found: FILES[service.replace(/\d$/, "")]! });
    }
    // A verifier is no password, but it is no business of a log either.
    const logs = await Bun.$`docker logs ${stack.container("pg1")} 2>&1`.text();
    expect(logs).not.toContain("SCRAM-SHA-256");
  },
);

/** Only in memory, and for the service alone. */
const FILES: Record<string, string[]> = {
  etcd: [],
  pg: ["/run/patroni/20-secrets.yml 0o600 tmpfs", "/run/patroni/pgpass 0o600 tmpfs"],
  pgbouncer: ["/run/pgbouncer/admin 0o600 tmpfs", "/run/pgbouncer/userlist.txt 0o600 tmpfs"],
};

test.skipIf(missing !== null)(
  `etcd answers nobody without a password, and Patroni's user sees its part only (${here})`,
  async () => {
    const said = await python(
      stack.container("etcd1"),
      `
import base64, json, urllib.request, urllib.error
def call(path, body, token=None):
    request = urllib.request.Request("http://127.0.0.1:2379/v3/" + path, json.dumps(body).encode(), {"Authorization": token} if token else {})
    try: return json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error: return json.load(error)["code"]
b64 = lambda text: base64.b64encode(text.encode()).decode()
password = open("/run/secrets/etcd").read().rstrip("\\n")
token = call("auth/authenticate", {"name": "patroni", "password": password})["token"]
print(json.dumps([
    call("kv/range", {"key": b64("/service/demo/leader")}),
    call("kv/put", {"key": b64("/service/demo/leader"), "value": b64("me")}),
    call("kv/put", {"key": b64("/other"), "value": b64("me")}, token),
    "kvs" in call("kv/range", {"key": b64("/service/demo/leader")}, token),
]))
`,
    );
    // 3: no user was named; 7: permission denied.
    expect(JSON.parse(said)).toEqual([3, 3, 7, true]);
  },
);

test.skipIf(missing !== null)(
  `kill -9 of Patroni ends its container, PostgreSQL with it (${here})`,
  async () => {
    const container = stack.container("pg2");
    const started = await inspect(container, ".State.StartedAt");
    await python(
      container,
      "import os, subprocess; os.kill(int(subprocess.check_output(['pgrep', '-f', 'patroni /run/patroni']).split()[0]), 9)",
      // It ends with its container.
    ).catch(() => {});
    await eventually(async () => {
      expect(await inspect(container, ".State.Running")).toBe("true");
      expect(await inspect(container, ".State.StartedAt")).not.toBe(started);
    });
    await write();
  },
);

test.skipIf(missing !== null)(
  `a follower that dies is started again beside its PgBouncer; a PgBouncer that dies ends its container (${here})`,
  async () => {
    const container = stack.container("pgbouncer1");
    const pidOf = async (name: string) =>
      (
        await python(
          container,
          `import subprocess; print(subprocess.check_output(["pgrep", "-x", "${name}"]).decode())`,
        )
      ).trim();
    const kill = (pid: string) => python(container, `import os; os.kill(${pid}, 9)`);
    const [started, pooler, follower] = [
      await inspect(container, ".State.StartedAt"),
      await pidOf("pgbouncer"),
      await pidOf("pgdba"),
    ];
    await kill(follower);
    await eventually(async () => expect(await pidOf("pgdba")).not.toBe(follower));
    expect(await pidOf("pgbouncer")).toBe(pooler);
    expect(await inspect(container, ".State.StartedAt")).toBe(started);
    await write();
    await kill(pooler);
    await eventually(async () =>
      expect(await inspect(container, ".State.StartedAt")).not.toBe(started),
    );
    await write();
  },
);
