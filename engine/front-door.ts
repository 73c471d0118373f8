/** The composition root: the only place that touches globals and knows both the engine and what it works with. */
import { existsSync, readFileSync, writeSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute } from "node:path";
import { CAPABILITIES } from "../providers/target/capabilities.ts";
import { loaders } from "../steps/_registry.ts";
import { typedCommand } from "./cli/args.ts";
import { main } from "./cli/dispatch.ts";
import type { BuiltinIndex, Front } from "./cli/front.ts";
import { makeRegistry } from "./cli/library.ts";
import { systemClock } from "./clock.ts";
import { errorRecord, failure } from "./envelope.ts";
import { type ExitCode, PgdbaError } from "./errors.ts";
import { suggest } from "./shared/suggest.ts";
import { Secrets } from "./secrets.ts";
import type { Parsed } from "./load/parsed.ts";
import { interrupted, Stop } from "./run/stop.ts";
import packageJson from "../package.json" with { type: "json" };

/** An executable holds the runbooks beside the program (see build.ts). */
const packageDir = Bun.isStandaloneExecutable ? import.meta.dir : dirname(import.meta.dir);
let index: BuiltinIndex | undefined;
let parsed: Parsed | undefined;
/** Set when there is no current folder to work in. */
let folderless: PgdbaError | undefined;

// stdout is the envelope's alone; what a step type or a library prints goes where people look.
const { stdout, stderr } = process;
const writeOut = stdout.write.bind(stdout);
stdout.write = stderr.write.bind(stderr);
console.log = console.info = console.debug = console.error;

closeToCurrentFolder();
const front: Front = {
  argv: process.argv.slice(2),
  env: process.env,
  cwd: callersFolder(),
  home: homedir(),
  // Opening standard input costs milliseconds that most commands have no use for.
  get stdin() {
    return process.stdin;
  },
  stdout: {
    isTTY: stdout.isTTY,
    columns: stdout.columns,
    write(text, done) {
      answered = true;
      writeOut(text, done);
    },
    onError: (listener) => stdout.once("error", listener),
  },
  stderr,
  clock: systemClock,
  stop: new Stop(),
  secrets: new Secrets(),
  packageDir,
  self: Bun.isStandaloneExecutable
    ? [process.execPath]
    : [process.execPath, ...process.execArgv, Bun.main],
  version: packageJson.version,
  registry: makeRegistry(loaders, CAPABILITIES),
  builtinIndex: () =>
    (index ??= JSON.parse(
      readFileSync(`${packageDir}/runbooks/_index.json`, "utf8"),
    ) as BuiltinIndex),
  builtinParsed: () => (parsed ??= parsedByTheBuild()),
  async resolveTarget(request) {
    const { resolveTarget } = await import("../providers/target/resolve.ts");
    return resolveTarget({ ...request, suggest });
  },
  async clusterSchema() {
    return (await import("../providers/registry/schema.ts")).CLUSTER_SCHEMA;
  },
  async readCluster(name, file) {
    const { readClusterFile } = await import("../providers/registry/read.ts");
    await readClusterFile(name, file);
  },
  async clusterNames(stateDir) {
    const { clusterNames } = await import("../providers/registry/folder.ts");
    return clusterNames(stateDir);
  },
  async memberNames(stateDir, cluster) {
    const { memberNames } = await import("../providers/registry/members.ts");
    return memberNames(stateDir, cluster);
  },
};

/** Takes out of the environment what would find a program or a file in the current folder. Children inherit the rest. */
function closeToCurrentFolder(): void {
  const { env } = process;
  const path = (env["PATH"] ?? "").split(":").filter(isAbsolute).join(":");
  env["PATH"] = path || "/usr/local/bin:/usr/bin:/bin";
  if (env["HOME"] !== undefined && !isAbsolute(env["HOME"])) delete env["HOME"];
}

/** The launcher starts us in our own folder (why, it says itself) and tells the caller's. */
function callersFolder(): string {
  const told = process.env["PGDBA_CWD"];
  delete process.env["PGDBA_CWD"];
  try {
    if (told !== undefined) process.chdir(told);
    return process.cwd();
  } catch (cause) {
    folderless = new PgdbaError("io_failed", "The current folder is gone, or closed to this user", {
      cause,
      hint: "Go to another one, such as with `cd /`.",
    });
    return "/";
  }
}

/** The way in which this process leaves when `main` can't end by itself. */
let leaving: { error: PgdbaError; exit: ExitCode } | undefined;
let answered = false;

/** The first signal unwinds, the second kills, the third leaves. */
async function onSignal(name: string): Promise<void> {
  if (front.stop.hard.aborted) leave(interrupted(name, front.stop.run), 130);
  if (front.stop.request(name) === "hard") await killChildren();
}

/** An error that belongs to no step: a throw in a callback, a promise that nobody waits for. A run under way still undoes its steps. */
function onDefect(thrown: unknown): void {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const error = new PgdbaError("internal", `Something failed outside of any step: ${message}`, {
    cause: thrown,
    hint: "A step type, or pgdba itself, left an error unhandled; run again with PGDBA_DEBUG=1 and report the stack.",
  });
  if (front.env["PGDBA_DEBUG"])
    front.stderr.write(
      `${front.secrets.redact((thrown instanceof Error && thrown.stack) || message)}\n`,
    );
  if (front.stop.run === null || front.stop.hard.aborted) leave(error, 1);
  front.stop.fail(error);
}

async function killChildren(): Promise<void> {
  const { killAllChildren } = await import("./spawn.ts");
  killAllChildren();
}

function leave(error: PgdbaError, exit: ExitCode): never {
  leaving ??= { error, exit };
  process.exit(exit);
}

/** However this process ends, stdout gets its one envelope: also when a step type calls process.exit. */
function lastWords(): void {
  if (answered) return;
  answered = true;
  const { run } = front.stop;
  const { error, exit } = leaving ?? {
    error: new PgdbaError("internal", "Something ended this process before its time", {
      hint: "A step type must not call process.exit.",
    }),
    exit: run === null ? 1 : 6,
  };
  const record = errorRecord(error);
  if (run !== null)
    record.hint = `Run ${run} was cut short: look at the target, then \`pgdba resume ${run}\`.`;
  const envelope = front.secrets.redactEnvelope(
    failure(typedCommand(front.argv), front.clock.now(), record),
  );
  try {
    writeSync(1, `${JSON.stringify(envelope)}\n`);
  } catch {
    // The reader is gone.
  }
  process.exitCode = exit;
}

for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(name, () => void onSignal(name));
process.on("uncaughtException", onDefect);
process.on("unhandledRejection", onDefect);
process.on("exit", lastWords);
// A reader that went away must not turn into a crash in the middle of a run.
process.stderr.on("error", () => {});

if (folderless) leave(folderless, 1);
process.exitCode = await main(front);
// A step that was given up may have left some.
if (front.stop.reason !== null) await killChildren();
process.exit();

/** They lie beside the bundle, and nowhere else: sources and an executable parse what they read. */
function parsedByTheBuild(): Parsed {
  const file = `${import.meta.dir}/documents.json`;
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Parsed) : {};
}
