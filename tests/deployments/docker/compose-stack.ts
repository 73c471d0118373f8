/** The cluster of `docker-compose.yml`, really started. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { ownImage } from "../../../providers/nodes/docker/images/build.ts";
import { freePort } from "../../../providers/nodes/embedded/server.ts";
import { docker } from "../../support/docker.ts";

const FILE = join(import.meta.dir, "../../../deployments/docker/docker-compose.yml");
const ACCOUNTS =
  "superuser replication rewind patroni etcd etcd_root pgbouncer pgbouncer_admin owner".split(" ");

export interface Stack {
  /** Of Compose: it begins the names of its containers. */
  project: string;
  secrets: Record<string, string>;
  port: Record<"pgbouncer" | "pg1" | "pg2" | "pg3", number>;
  /** The container of a service. */
  container(service: string): string;
  services: string[];
  down(): Promise<void>;
}

export async function startStack(): Promise<Stack> {
  const signal = AbortSignal.timeout(600_000);
  const image = (role: "postgres" | "etcd" | "pgbouncer") =>
    ownImage({ docker: new Docker(), env: process.env }, role, 17, { signal });
  const project = `pgdba-test-${crypto.randomUUID().slice(0, 8)}`;
  const folder = mkdtempSync(join(tmpdir(), "pgdba-compose-"));
  // A quote and a colon are no trouble to any of the files that they get into.
  const secrets = Object.fromEntries(
    ACCOUNTS.map((name) => [name, `${crypto.randomUUID()}'":\\ %${name}`]),
  );
  for (const [name, value] of Object.entries(secrets))
    writeFileSync(join(folder, name), `${value}\n`, { mode: 0o600 });
  const port = {
    pgbouncer: await freePort(),
    pg1: await freePort(),
    pg2: await freePort(),
    pg3: await freePort(),
  };
  const env: Record<string, string | undefined> = {
    ...process.env,
    PGDBA_SECRETS: folder,
    PGDBA_POSTGRES_IMAGE: await image("postgres"),
    PGDBA_ETCD_IMAGE: await image("etcd"),
    PGDBA_PGBOUNCER_IMAGE: await image("pgbouncer"),
    PGDBA_PGBOUNCER_PORT: String(port.pgbouncer),
    PGDBA_FOLLOWER_PORT: String(await freePort()),
    PGDBA_BACKUPS: `${project}-backups`,
  };
  for (const n of [1, 2, 3] as const) {
    env[`PGDBA_ETCD${n}_PORT`] = String(await freePort());
    env[`PGDBA_PG${n}_PORT`] = String(port[`pg${n}`]);
    env[`PGDBA_PG${n}_API_PORT`] = String(await freePort());
  }
  const compose = async (...args: string[]) => {
    const argv = ["docker", "compose", "-p", project, "-f", FILE, ...args];
    const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, told, code] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    if (code !== 0) throw new Error(`docker compose ${args.join(" ")} failed: ${told}${out}`);
    return out;
  };
  const stack: Stack = {
    project,
    secrets,
    port,
    container: (service) => `${project}-${service}-1`,
    services: (await compose("config", "--services")).trim().split("\n").toSorted(),
    async down() {
      await compose("down", "-v", "--timeout", "5");
      await docker("volume", "rm", `${project}-backups`);
      rmSync(folder, { recursive: true });
    },
  };
  await docker("volume", "create", `${project}-backups`);
  try {
    await compose("up", "-d", "--no-build", "--quiet-pull");
  } catch (error) {
    await stack.down();
    throw error;
  }
  return stack;
}

/** Runs Python in a container, without a word of it on a command line. */
export async function python(container: string, script: string, user = "root"): Promise<string> {
  const argv = ["docker", "exec", "-i", "-u", user, container, "python3", "-"];
  const child = Bun.spawn(argv, { stdin: Buffer.from(script), stdout: "pipe", stderr: "pipe" });
  const [out, told, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`python3 in ${container} failed with ${code}: ${told}`);
  return out;
}

export const inspect = async (container: string, field: string): Promise<string> =>
  docker("inspect", "-f", `{{${field}}}`, container);
