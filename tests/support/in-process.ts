/** The command line in this process: what a test that runs many runbooks saves is the start of a program for each of them. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { Readable, Writable } from "node:stream";
import { main } from "../../engine/cli/dispatch.ts";
import type { BuiltinIndex, Front } from "../../engine/cli/front.ts";
import { makeRegistry } from "../../engine/cli/library.ts";
import { systemClock } from "../../engine/clock.ts";
import { Stop } from "../../engine/run/stop.ts";
import { Secrets } from "../../engine/secrets.ts";
import { suggest } from "../../engine/shared/suggest.ts";
import { clusterNames } from "../../providers/registry/folder.ts";
import { memberNames } from "../../providers/registry/members.ts";
import { readClusterFile } from "../../providers/registry/read.ts";
import { CLUSTER_SCHEMA } from "../../providers/registry/schema.ts";
import { CAPABILITIES } from "../../providers/target/capabilities.ts";
import { resolveTarget } from "../../providers/target/resolve.ts";
import { loaders } from "../../steps/_registry.ts";

const packageDir = dirname(dirname(import.meta.dir));
const registry = makeRegistry(loaders, CAPABILITIES);

/** Runs `pgdba argv` with nothing but `env`, without a terminal; gives its exit code and its envelope. */
export async function inProcess(
  argv: string[],
  env: Record<string, string>,
  cwd = env["PGDBA_HOME"] ?? "/",
): Promise<{ exit: number; envelope: any; stderr: string }> {
  let out = "";
  let stderr = "";
  const front: Front = {
    argv,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    cwd,
    home: env["PGDBA_HOME"] ?? "/",
    stdin: Readable.from([]),
    stdout: {
      write(text, done) {
        out += text;
        done();
      },
      onError() {},
    },
    stderr: new Writable({
      write(chunk: Uint8Array, _encoding, done) {
        stderr += Buffer.from(chunk).toString();
        done();
      },
    }),
    clock: systemClock,
    stop: new Stop(),
    secrets: new Secrets(),
    packageDir,
    version: "0.0.0",
    self: [process.execPath, `${packageDir}/engine/main.ts`],
    registry,
    builtinIndex: () =>
      JSON.parse(readFileSync(`${packageDir}/runbooks/_index.json`, "utf8")) as BuiltinIndex,
    resolveTarget: (request) => resolveTarget({ ...request, suggest }),
    clusterSchema: async () => CLUSTER_SCHEMA,
    readCluster: async (name, file) => {
      await readClusterFile(name, file);
    },
    clusterNames: async (stateDir) => clusterNames(stateDir),
    memberNames: async (stateDir, cluster) => memberNames(stateDir, cluster),
  };
  const exit = await main(front);
  return { exit, envelope: JSON.parse(out), stderr };
}
