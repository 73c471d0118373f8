import { afterAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PgSession } from "../../providers/postgres/session.ts";
import {
  filesBelow,
  grantsToRead,
  hugePages,
  localMachine,
  machineOf,
  remoteMachine,
} from "../../providers/machine.ts";
import { openSession, specOf } from "./postgres/helpers.ts";
import { clientOf, sharedServer } from "../support/postgres.ts";

const roots: string[] = [];
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true, force: true }))));

/** A root folder with these files and the usual ones of a host with 64 GB and 16 CPUs. */
async function host(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "pgdba-machine-"));
  roots.push(root);
  const all = {
    "proc/meminfo": "MemTotal:       67108864 kB\nMemFree: 1 kB\n",
    "proc/7/status": "Name:\tpostgres\nCpus_allowed_list:\t0-11,16-19\n",
    "proc/7/comm": "postgres\n",
    ...files,
  };
  for (const [name, text] of Object.entries(all)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

const GB = 1024 * 1024;

test("without limits it is the hardware, and the CPUs that the process may run on", async () => {
  const root = await host({
    "proc/7/cgroup": "0::/\n",
    "sys/fs/cgroup/memory.max": "max\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
  });
  expect(await machineOf(filesBelow(root), "7")).toEqual({ memoryKb: 64 * GB, cpus: 16 });
});

test("cgroup v2: the tightest limit on the way up counts", async () => {
  const root = await host({
    "proc/7/cgroup": "0::/kube/pod1/c\n",
    "sys/fs/cgroup/kube/memory.max": `${8 * GB * 1024}\n`,
    "sys/fs/cgroup/kube/pod1/memory.max": `${4 * GB * 1024}\n`,
    "sys/fs/cgroup/kube/pod1/c/memory.max": "max\n",
    "sys/fs/cgroup/kube/pod1/c/cpu.max": "250000 100000\n",
  });
  expect(await machineOf(filesBelow(root), "7")).toEqual({ memoryKb: 4 * GB, cpus: 3 });
});

test("cgroup v1, where no limit is a huge number", async () => {
  const root = await host({
    "proc/7/cgroup": "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes": `${2 * GB * 1024}\n`,
    "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000\n",
  });
  expect(await machineOf(filesBelow(root), "7")).toEqual({ memoryKb: 2 * GB, cpus: 1 });
});

test("a server is here only when its backend is a process of this host", async () => {
  const root = await host({ "proc/8/comm": "nginx\n", "proc/8/cmdline": "nginx: worker" });
  const session = (pid: number) => ({ info: { pid } }) as unknown as PgSession;
  expect(await localMachine(session(7), "127.0.0.1", filesBelow(root))).toEqual({
    memoryKb: 64 * GB,
    cpus: 16,
  });
  expect(await localMachine(session(7), "/run/postgresql", filesBelow(root))).not.toBeNull();
  expect(await localMachine(session(7), "db.example.com", filesBelow(root))).toBeNull();
  // A port forwarded into a container: the process id is another program's here, or nobody's.
  expect(await localMachine(session(8), "localhost", filesBelow(root))).toBeNull();
  expect(await localMachine(session(9), "localhost", filesBelow(root))).toBeNull();
});

describe.each([13, 18] as const)("asked of a server of version %d by SQL", (version) => {
  const as = async (user: string) => {
    const server = await sharedServer(version);
    return openSession({ ...specOf(server), user, password: () => server.password });
  };
  test("it tells what its own kernel says", async () => {
    const own = await as("postgres");
    const local = await localMachine(own, "127.0.0.1");
    expect(local?.memoryKb).toBeGreaterThan(0);
    expect(await remoteMachine(own)).toEqual(local);
    await own.close();
  });
  test("a role that may not read files gets nothing, until it is granted what the hint says", async () => {
    const server = await sharedServer(version);
    const admin = await clientOf(server);
    await admin.query(`CREATE ROLE asker LOGIN PASSWORD '${server.password}'`);
    const own = await as("asker");
    try {
      expect(await remoteMachine(own)).toBeNull();
      await admin.query(grantsToRead("asker"));
      expect((await remoteMachine(own))?.cpus).toBeGreaterThan(0);
    } finally {
      await own.close();
      await admin.query("DROP OWNED BY asker; DROP ROLE asker");
      await admin.end();
    }
  });
});

test("huge pages that are reserved are not free, and a kernel that tells none has none", async () => {
  const meminfo = (text: string) => (path: string) =>
    Promise.resolve(path === "proc/meminfo" ? text : undefined);
  expect(
    await hugePages(
      meminfo(
        "MemTotal: 1 kB\nHugePages_Total:     100\nHugePages_Free:       60\nHugePages_Rsvd:       15\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n",
      ),
    ),
  ).toEqual({ pageBytes: 2 * 1024 ** 2, total: 100, free: 45 });
  expect(await hugePages(meminfo("MemTotal: 1 kB\n"))).toBeNull();
});
