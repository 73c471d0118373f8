/** The host of a server, as far as something is installed there: a node of a provider, or this machine. */
import { chmod, chown, lstat, mkdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { geteuid } from "node:process";
import { PgdbaError } from "../../engine/errors.ts";
import { readIfThere, readTextIfThere } from "../../engine/shared/read-file.ts";
import { fileError, writeWhole } from "../../engine/shared/write-file.ts";
import { spawnProcess } from "../../engine/spawn.ts";
import type { Content, Nodes } from "../nodes/contract.ts";
import { readControlState } from "../postgres/control-state.ts";
import { partsOf } from "./file-parts.ts";
import { besideData } from "./settings.ts";

export interface Host {
  name: string;
  /** The data directory, without links on the way. */
  data: string;
  /** As Bun names it: `x64`, `arm64`. */
  arch: string;
  /** The folder beside the data, made where it is missing. */
  makeFolder(): Promise<void>;
  put(path: string, from: { content: Content } | { local: string }, mode: number): Promise<void>;
  /** The text of a small file; undefined when it is not there. */
  text(path: string): Promise<string | undefined>;
  run(
    argv: string[],
    stdin?: string,
  ): Promise<{ exit_code: number | null; stdout: string; stderr: string }>;
}

/** A processor as Bun names it. */
export const archOf = (told: string): string => ARCHITECTURES[told] ?? told;

const ARCHITECTURES: Record<string, string> = {
  x86_64: "x64",
  amd64: "x64",
  aarch64: "arm64",
  arm64: "arm64",
};

/** @throws PgdbaError unsupported */
export async function nodeHost(nodes: Nodes, node: string): Promise<Host> {
  const { postgres, os } = await nodes.facts(node);
  if (postgres === null) throw noServer(node);
  const { exit_code, stdout } = await nodes.exec(node, ["readlink", "-f", postgres.data]);
  const data = exit_code === 0 ? stdout.trim() : postgres.data;
  const folder = besideData(data);
  return {
    name: node,
    data,
    arch: archOf(os.arch),
    async makeFolder() {
      const make = ["mkdir", "-p", "-m", "0700", folder];
      if ((await nodes.exec(node, make)).exit_code === 0) return;
      // The folder above it may be root's.
      const owner = (await nodes.exec(node, ["stat", "-c", "%u:%g", data])).stdout.trim();
      for (const argv of [make, ["chown", owner, folder]]) {
        const made = await nodes.exec(node, argv, { user: "root" });
        if (made.exit_code !== 0) throw notMade(folder, node, made.stderr);
      }
    },
    put: (path, from, mode) => nodes.put(node, path, from, { mode }),
    async text(path) {
      const read = await nodes.exec(node, ["cat", path]);
      return read.exit_code === 0 ? read.stdout : undefined;
    },
    run: (argv, stdin) => nodes.exec(node, argv, stdin === undefined ? {} : { stdin }),
  };
}

interface Server {
  name: string;
  data: string;
  port: number;
  system_identifier: string;
}

/** This machine, if the server runs on it. @throws PgdbaError unsupported */
export async function localHost(
  server: Server,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<Host> {
  const data = await realpath(server.data).catch(() => server.data);
  if (!runsHere(server, data)) throw notHere(server.name);
  const { uid, gid } = await stat(data);
  const own = geteuid?.();
  if (own !== 0 && own !== uid) throw notHere(server.name);
  const folder = besideData(data);
  const user = own === 0 && uid !== 0 ? { uid, gid } : undefined;
  return {
    name: server.name,
    data,
    arch: process.arch,
    async makeFolder() {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        if (!(await lstat(folder)).isDirectory()) throw new Error("it is no folder");
        await chmod(folder, 0o700);
        if (own === 0) await chown(folder, uid, gid);
      } catch (error) {
        throw fileError(folder, error);
      }
    },
    async put(path, from, mode) {
      const content = "local" in from ? partsOf(from.local) : from.content;
      await writeWhole(path, content, { mode, owner: { uid, gid } });
    },
    text: async (path) => readTextIfThere(path, { maxBytes: 64 * 1024 }),
    run: (argv, stdin) =>
      spawnProcess(argv, {
        baseEnv: env,
        signal,
        cwd: dirname(data),
        user,
        ...(stdin === undefined ? {} : { stdin }),
      }),
  };
}

/** The folder of that name here is that of the server when its identity and its port are the server's. */
function runsHere({ port, system_identifier }: Server, data: string): boolean {
  try {
    const lines = readTextIfThere(join(data, "postmaster.pid"), { maxBytes: 4096 })?.split("\n");
    const control = readIfThere(join(data, "global/pg_control"), { maxBytes: 8192 });
    if (lines === undefined || control === undefined || Number(lines[3]) !== port) return false;
    return readControlState(control)?.system_identifier === system_identifier;
  } catch {
    return false;
  }
}

const noServer = (node: string): PgdbaError =>
  new PgdbaError("step_refused", `${node} runs no PostgreSQL`, {
    hint: "Name one of the cluster's servers.",
    nothingDone: true,
  });

const notMade = (folder: string, node: string, why: string): PgdbaError =>
  new PgdbaError("io_failed", `${folder} can't be made on ${node}: ${why.trim()}`, {
    hint: "The folder above the data directory must be writable for root there.",
  });

const notHere = (name: string): PgdbaError =>
  new PgdbaError("unsupported", `Nothing can be installed on the host of ${name}`, {
    hint: "Archiving is set up where a provider reaches the hosts, or on the server's own machine, as root or as its user: run pgdba there.",
    nothingDone: true,
  });
