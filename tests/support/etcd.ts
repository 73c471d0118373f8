/** A real etcd of some members, as plain processes that die with the test process. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../providers/nodes/embedded/server.ts";

export interface EtcdMember {
  name: string;
  url: string;
  /** Ends it as a power loss does; what it has on disk stays. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): Promise<void>;
}

export interface Etcd {
  members: EtcdMember[];
  /** One call of the gateway, at the first member. */
  call(path: string, body: object, token?: string): Promise<any>;
  stop(): Promise<void>;
}

/** What keeps these tests from running here, or null; it comes with Patroni. @throws Error when PGDBA_TEST_REQUIRE says that nothing may */
export function etcdMissing(): string | null {
  if (Bun.which("etcd") !== null) return null;
  if ((process.env.PGDBA_TEST_REQUIRE ?? "").split(",").includes("patroni"))
    throw new Error("patroni is required, but etcd is not on this machine");
  return "not on this machine: etcd";
}

const KEEPER = `"$@" >>"$LOG" 2>&1 </dev/null &
echo $! >"$LOG.pid"
cat >/dev/null
kill -KILL $!
wait`;

export async function startEtcd(count: number): Promise<Etcd> {
  const base = await mkdtemp(join(tmpdir(), "pgdba-etcd-"));
  const places = await Promise.all(
    Array.from({ length: count }, async (_, n) => ({
      name: `etcd${n + 1}`,
      url: `http://127.0.0.1:${await freePort()}`,
      peer: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(",");
  const members = places.map(({ name, url, peer }): EtcdMember => {
    const log = join(base, `${name}.log`);
    const argv = [
      "etcd",
      "--name",
      name,
      "--data-dir",
      join(base, name),
      "--initial-cluster",
      cluster,
    ];
    argv.push("--listen-client-urls", url, "--advertise-client-urls", url, "--unsafe-no-fsync");
    argv.push("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer);
    argv.push("--heartbeat-interval", "50", "--election-timeout", "500");
    const keeper = Bun.spawn(["/bin/sh", "-c", KEEPER, "sh", ...argv], {
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LOG: log },
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
    });
    keeper.unref();
    return {
      name,
      url,
      async kill() {
        await keeper.stdin.end();
        await keeper.exited;
      },
      async signal(signal) {
        process.kill(Number(await readFile(`${log}.pid`, "utf8")), signal);
      },
    };
  });
  const call = async (path: string, body: object, token?: string): Promise<any> => {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: token };
    const request = { method: "POST", body: JSON.stringify(body), headers };
    return (await fetch(`${members[0]?.url}/v3${path}`, request)).json();
  };
  const ends = performance.now() + 30_000;
  for (;;) {
    const answers = await Promise.all(
      members.map(({ url }) =>
        fetch(`${url}/health`).then(
          async (answer) => ((await answer.json()) as { health?: string }).health === "true",
          () => false,
        ),
      ),
    );
    if (answers.every(Boolean)) break;
    if (performance.now() > ends) throw new Error("etcd did not start");
    await Bun.sleep(50);
  }
  return {
    members,
    call,
    async stop() {
      await Promise.all(members.map((member) => member.kill()));
      await rm(base, { recursive: true, force: true });
    },
  };
}
