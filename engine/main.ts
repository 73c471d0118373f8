/** The composition root: the only place that touches globals and knows both the engine and what it works with. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { labCommand } from "../providers/lab/command.ts";
import { loaders } from "../steps/_registry.ts";
import { main } from "./cli/dispatch.ts";
import type { BuiltinIndex, Front } from "./cli/front.ts";
import { makeRegistry } from "./cli/library.ts";
import { systemClock } from "./clock.ts";
import { suggest } from "./load/suggest.ts";
import { Secrets } from "./secrets.ts";
import { Stop } from "./run/stop.ts";
import packageJson from "../package.json" with { type: "json" };

const packageDir = dirname(import.meta.dir);
let index: BuiltinIndex | undefined;

const front: Front = {
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  // Opening standard input costs milliseconds that most commands have no use for.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  stop: new Stop(),
  secrets: new Secrets(),
  packageDir,
  version: packageJson.version,
  registry: makeRegistry(loaders),
  builtinIndex: () =>
    (index ??= JSON.parse(readFileSync(`${packageDir}/runbooks/_index.json`, "utf8")) as BuiltinIndex),
  async resolveTarget(request) {
    const { resolveTarget } = await import("../providers/targets.ts");
    return resolveTarget({ ...request, suggest });
  },
  async clusterNames(stateDir) {
    const { clusterNames } = await import("../providers/clusters.ts");
    return clusterNames(stateDir);
  },
  extras: [labCommand],
};

/** The first signal unwinds, the second kills, the third leaves. */
async function onSignal(name: string): Promise<void> {
  if (front.stop.hard.aborted) process.exit(130);
  const step = front.stop.request(name);
  if (step === "hard") {
    const { killAllChildren } = await import("./spawn.ts");
    killAllChildren();
  }
}

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => void onSignal(name));
// A reader that went away must not turn into a crash in the middle of a run.
process.stderr.on("error", () => {});

process.exitCode = await main(front);
process.exit();
