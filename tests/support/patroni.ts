/** A real Patroni cluster for tests: one etcd and some members, as plain processes that die with the test process. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { freePort } from "../../providers/nodes/embedded/server.ts";
import { ordinaryUser, spareBase, traversable } from "../../providers/nodes/embedded/user.ts";
import { debianPostgres } from "./debian.ts";

export interface PatroniCluster {
  members: { name: string; host: string; port: number; api: string }[];
  user: string;
  password: string;
  /** Of the REST API, for what changes something. */
  /** The URL of etcd. */
  etcd: string;
  apiUser: string;
  apiPassword: string;
  /** GET of a member's REST API. */
  get(path: string, member?: number): Promise<any>;
  /** The end of all logs, for a failure that needs explaining. */
  logs(): Promise<string>;
  /** Puts `part` into a member's own configuration, without telling it. */
  configure(member: number, part: object): Promise<void>;
  /** The data folder of a member, and the account that owns it; null for our own. */
  data(member: number): string;
  owner: { uid: number; gid: number } | null;
  /** Ends Patroni and PostgreSQL of a member as a service manager does. */
  halt(member: number): Promise<void>;
  /** Starts a member that has ended. */
  begin(member: number): Promise<void>;
  /** Sends a signal to the Patroni of a member, not to its PostgreSQL. */
  signal(member: number, signal: NodeJS.Signals): Promise<void>;
  /** Sends a signal to all processes of a member's PostgreSQL, which may be gone already. */
  signalPostgres(member: number, signal: NodeJS.Signals): Promise<void>;
  /** Removes the leader key, as its ttl would. */
  expireLeader(): Promise<void>;
  /** Ends Patroni and PostgreSQL of a member at once, as a power loss does. Nobody starts them again. */
  crash(member: number): Promise<void>;
  stop(): Promise<void>;
}

export interface PatroniOptions {
  /** One from `patroniTree`; Debian's own without it. */
  tree?: string | undefined;
  /** Merged into the dynamic configuration at the start. */
  dcs?: object | undefined;
}

/** What keeps these tests from running here, or null. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function patroniMissing(): string | null {
  const missing = [
    ...["patroni", "etcd"].filter((name) => Bun.which(name) === null),
    ...(debianPostgres() === undefined ? ["postgresql"] : []),
  ];
  if (missing.length === 0) return null;
  const said = `not on this machine: ${missing.join(", ")}`;
  if ((process.env.PGDBA_TEST_REQUIRE ?? "").split(",").includes("patroni"))
    throw new Error(`patroni is required, but ${said}`);
  return said;
}

/** Debian's Python, which has all that Patroni needs. */
async function pythonOfPatroni(): Promise<string> {
  const [first = ""] = (await readFile(Bun.which("patroni") ?? "", "utf8")).split("\n");
  return first.replace(/^#!\s*/, "");
}

/** The folder with another version of Patroni, which Debian's Python runs; fetched by pip once, about 2 s. Or why there is none. */
export async function patroniTree(
  version: string,
): Promise<{ tree: string } | { missing: string }> {
  const tree = join(tmpdir(), `pgdba-patroni-${version}`);
  if (existsSync(join(tree, "patroni"))) return { tree };
  const fetched = await mkdtemp(`${tree}.`);
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--root-user-action=ignore"];
  const { exitCode, stderr } = Bun.spawnSync([
    "python3",
    ...pip,
    "--target",
    fetched,
    `patroni==${version}`,
  ]);
  if (exitCode === 0) {
    await chmod(fetched, 0o755);
    // Another test process may have been first.
    await rename(fetched, tree).catch(() => rm(fetched, { recursive: true }));
    return { tree };
  }
  await rm(fetched, { recursive: true });
  const missing = `pip has no Patroni ${version}: ${stderr.toString().trim().split("\n").at(-1)}`;
  if ((process.env.PGDBA_TEST_REQUIRE ?? "").split(",").includes("patroni"))
    throw new Error(missing);
  return { missing };
}

/** Ends everything and removes the files when its standard input closes. Arguments: the files that list each process's argv. */
const KEEPER = `cd "$BASE"
etcd --data-dir "$BASE/etcd" --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" \\
  --listen-peer-urls "$PEER" --initial-advertise-peer-urls "$PEER" --initial-cluster "default=$PEER" >>etcd.log 2>&1 </dev/null &
pids=$!
for file in "$BASE"/*.yml; do
  $PATRONI "$file" >>"$file.log" 2>&1 </dev/null &
  echo $! >"$file.pid"
  pids="$pids $!"
done
while read -r name; do
  $PATRONI "$BASE/$name.yml" >>"$name.yml.log" 2>&1 </dev/null &
  echo $! >"$BASE/$name.yml.pid"
  pids="$pids $!"
done
kill -KILL $pids
for file in "$BASE"/*/data/postmaster.pid; do [ -e "$file" ] && kill -QUIT "$(head -n 1 "$file")"; done
wait
rm -rf "$BASE"`;

/** Starts a cluster of `count` members and waits until all stream. About 8 s. */
export async function startPatroni(
  count: number,
  { tree, dcs }: PatroniOptions = {},
): Promise<PatroniCluster> {
  const user = ordinaryUser();
  const parent = (await traversable(join(tmpdir(), "x")))
    ? tmpdir()
    : await spareBase(["/tmp", "/var/lib/pgdba"]);
  const base = await mkdtemp(join(parent, "pgdba-patroni-"));
  const [password, apiPassword] = [crypto.randomUUID(), crypto.randomUUID()];
  const etcd = `127.0.0.1:${await freePort()}`;
  const members: PatroniCluster["members"] = [];
  const configs: object[] = [];
  const write = async (file: string, config: object): Promise<void> => {
    await writeFile(file, stringify(config), { mode: 0o600 });
    if (user !== null) await chown(file, user.uid, user.gid);
  };
  for (let n = 1; n <= count; n++) {
    const [name, port, rest] = [`pg${n}`, await freePort(), `127.0.0.1:${await freePort()}`];
    members.push({ name, host: "127.0.0.1", port, api: `http://${rest}` });
    const dir = join(base, name);
    await mkdir(dir, { mode: 0o700 });
    if (user !== null) await chown(dir, user.uid, user.gid);
    const config = {
      scope: "test",
      name,
      restapi: {
        listen: rest,
        connect_address: rest,
        authentication: { username: "admin", password: apiPassword },
      },
      etcd3: { host: etcd },
      bootstrap: {
        dcs: {
          ttl: 20,
          loop_wait: 1,
          retry_timeout: 3,
          ...dcs,
          postgresql: {
            parameters: { max_connections: 60, work_mem: "5MB", wal_keep_size: "64MB" },
          },
        },
        initdb: [{ encoding: "UTF8" }, { locale: "C" }, "no-sync"],
      },
      postgresql: {
        listen: `127.0.0.1:${port}`,
        connect_address: `127.0.0.1:${port}`,
        data_dir: join(dir, "data"),
        bin_dir: debianPostgres()?.bin,
        pgpass: join(dir, "pgpass"),
        basebackup: [{ checkpoint: "fast" }, "no-sync"],
        authentication: {
          superuser: { username: "postgres", password },
          replication: { username: "replicator", password },
        },
        parameters: {
          unix_socket_directories: dir,
          fsync: "off",
          shared_buffers: "16MB",
          wal_retrieve_retry_interval: "200ms",
        },
        pg_hba: [
          "host all all 127.0.0.1/32 scram-sha-256",
          "host replication all 127.0.0.1/32 scram-sha-256",
        ],
      },
    };
    await write(join(base, `${name}.yml`), config);
    configs.push(config);
  }
  if (user !== null) await chown(base, user.uid, user.gid);
  const keeper = Bun.spawn(["/bin/sh", "-c", KEEPER], {
    ...(user === null ? {} : { uid: user.uid, gid: user.gid }),
    cwd: "/",
    env: {
      PATH: process.env.PATH ?? "/usr/bin:/bin",
      LC_ALL: "C",
      PATRONI: tree === undefined ? "patroni" : `${await pythonOfPatroni()} -m patroni`,
      ...(tree === undefined ? {} : { PYTHONPATH: tree }),
      BASE: base,
      ETCD: `http://${etcd}`,
      PEER: `http://127.0.0.1:${await freePort()}`,
    },
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  keeper.unref();
  const cluster: PatroniCluster = {
    members,
    user: "postgres",
    password,
    etcd: `http://${etcd}`,
    apiUser: "admin",
    apiPassword,
    get: async (path, member = 0) => (await fetch(`${members[member]?.api}${path}`)).json(),
    async logs() {
      const files = readdirSync(base).filter((name) => name.endsWith(".log"));
      const texts = files.map(
        async (name) => `== ${name}\n${(await readFile(join(base, name), "utf8")).slice(-3000)}`,
      );
      return (await Promise.all(texts)).join("\n");
    },
    configure: (member, part) =>
      write(join(base, `${members[member]?.name}.yml`), { ...configs[member], ...part }),
    async signal(member, signal) {
      const file = join(base, `${members[member]?.name}.yml.pid`);
      process.kill(Number(await readFile(file, "utf8")), signal);
    },
    async signalPostgres(member, signal) {
      const file = join(base, `${members[member]?.name}`, "data/postmaster.pid");
      const [pid] = (await readFile(file, "utf8")).split("\n");
      signalTree(Number(pid), signal);
    },
    data: (member) => join(base, `${members[member]?.name}`, "data"),
    owner: user,
    async halt(member) {
      const file = join(base, `${members[member]?.name}.yml.pid`);
      const pid = Number(await readFile(file, "utf8"));
      process.kill(pid, "SIGTERM");
      for (const ends = performance.now() + 30_000; isAlive(pid); await Bun.sleep(50))
        if (performance.now() > ends) throw new Error(`patroni ${pid} does not end`);
    },
    async begin(member) {
      keeper.stdin.write(`${members[member]?.name}\n`);
      await keeper.stdin.flush();
    },
    async expireLeader() {
      const key = Buffer.from("/service/test/leader").toString("base64");
      const answer = await fetch(`http://${etcd}/v3/kv/deleterange`, {
        method: "POST",
        body: JSON.stringify({ key }),
      });
      if (!answer.ok) throw new Error(`etcd answered ${answer.status}`);
    },
    async crash(member) {
      const name = members[member]?.name ?? "";
      const pids = [join(base, `${name}.yml.pid`), join(base, name, "data", "postmaster.pid")];
      for (const file of pids)
        process.kill(Number((await readFile(file, "utf8")).split("\n")[0]), "SIGKILL");
    },
    async stop() {
      await keeper.stdin.end();
      await keeper.exited;
    },
  };
  try {
    await waitStreaming(cluster, count);
  } catch (error) {
    const logs = await cluster.logs();
    await cluster.stop();
    throw new Error(`Patroni did not start:\n${logs}`, { cause: error });
  }
  return cluster;
}

/** A zombie has ended. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2)[0] !== "Z";
  } catch {
    return false;
  }
}

/** The postmaster first, so that it starts no others meanwhile. */
function signalTree(pid: number, signal: NodeJS.Signals): void {
  const { stdout } = Bun.spawnSync(["ps", "-o", "pid=", "--ppid", String(pid)]);
  const children = stdout.toString().split(/\s+/).filter(Boolean).map(Number);
  for (const one of [pid, ...children]) {
    try {
      process.kill(one, signal);
    } catch {
      // It has ended.
    }
  }
}

/** Waits until one leads and the others stream, by what the leader's server says. */
async function waitStreaming(cluster: PatroniCluster, count: number): Promise<void> {
  const ends = performance.now() + 60_000;
  for (;;) {
    const states = await Promise.all(
      cluster.members.map((_, n) => cluster.get("/patroni", n).catch(() => null)),
    );
    const leader = states.find((state) => state?.role === "master" || state?.role === "primary");
    // A base backup that is being taken streams as well, under a name of its own.
    const streaming = (leader?.replication ?? []).filter(
      (one: { state: string; application_name: string }) =>
        one.state === "streaming" &&
        cluster.members.some((member) => member.name === one.application_name),
    );
    if (streaming.length === count - 1 && states.every((state) => state?.state === "running"))
      return;
    if (performance.now() > ends)
      throw new Error(`no leader with all standbys streaming: ${JSON.stringify(states)}`);
    await Bun.sleep(100);
  }
}
