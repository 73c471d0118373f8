/** Puts beside a server's data what it needs to archive: the program, and where its repository is. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { PgdbaError } from "../../engine/errors.ts";
import { shellQuoted } from "../../engine/shared/shell-words.ts";
import { identityOf, withExecutable } from "../executable.ts";
import type { Host } from "./host.ts";
import { caBeside, keyBeside, programBeside, settingsFile } from "./settings.ts";
import { errorOf, type Failed, type NodeRepository } from "./work.ts";
import packageJson from "../../package.json" with { type: "json" };

export interface Way {
  /** As one file in any case: it is in use while it is put there. */
  whole?: boolean;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  progress(text: string): void;
}

export interface Wanted extends Way {
  settings: NodeRepository;
  /** The key to an object store: its id, a colon, and the key. */
  key?: string | undefined;
  /** The authorities to trust for it. */
  ca?: string | undefined;
}

/** The program beside the data, put there where it is missing or another. */
export async function installProgramOn(host: Host, way: Way): Promise<string> {
  const program = programBeside(host.data);
  await host.makeFolder();
  await installProgram(host, program, way);
  return program;
}

/** @returns whether anything was changed. @throws PgdbaError command_failed | io_failed | unsupported */
export async function install(host: Host, wanted: Wanted): Promise<boolean> {
  const { settings, key, ca } = wanted;
  const program = programBeside(host.data);
  await host.makeFolder();
  let changed = await installProgram(host, program, wanted);
  const texts: [string, string][] = [
    ...(key === undefined ? [] : ([[keyBeside(host.data), `${key}\n`]] as [string, string][])),
    ...(ca === undefined ? [] : ([[caBeside(host.data), ca]] as [string, string][])),
    [settingsFile(host.data), `${JSON.stringify(settings, null, 2)}\n`],
  ];
  for (const [path, text] of texts) {
    if ((await host.text(path)) === text) continue;
    await host.put(path, { content: text }, 0o600);
    changed = true;
  }
  return changed;
}

/**
 * A server that can't write to its repository keeps all of its WAL from the moment on that it is told to archive.
 * @throws PgdbaError with the code of what fails there
 */
export async function assertArchives(host: Host, { place, write }: NodeRepository): Promise<void> {
  const order = JSON.stringify({ place, key: write });
  const { exit_code, stdout, stderr } = await host.run(
    [programBeside(host.data), "work", "try"],
    order,
  );
  if (exit_code === 0) return;
  const failed = failedOn(stdout) ?? { code: "repository_failed", message: stderr.trim() };
  const { code, message, hint, retryable } = errorOf(failed, "repository_failed");
  throw new PgdbaError(code, `The server on ${host.name} could not archive: ${message}`, {
    hint,
    retryable,
  });
}

function failedOn(stdout: string): Failed | undefined {
  try {
    return (JSON.parse(stdout) as { error?: Failed }).error;
  } catch {
    return undefined;
  }
}

/**
 * A line that starts this very program, where the server's user can; else the program as one file. Which it is, is found by starting it.
 */
export async function installProgram(
  host: Pick<Host, "name" | "arch" | "text" | "put" | "run">,
  program: string,
  way: Way,
): Promise<boolean> {
  const { env, signal, progress } = way;
  const line = `#!/bin/sh\nexec ${own().map(shellQuoted).join(" ")} "$@"\n`;
  const before = await host.text(`${program}.json`);
  if (before !== undefined) {
    const told = JSON.parse(before) as { line?: string; identity?: string };
    if (told.line === line && (await starts(host, program))) return false;
    if (told.identity !== undefined && told.identity === (await identityOf(host.arch)))
      return false;
  }
  if (!way.whole) await host.put(program, { content: line }, 0o700);
  if (!way.whole && (await starts(host, program))) {
    await host.put(`${program}.json`, { content: JSON.stringify({ line }) }, 0o600);
    return true;
  }
  const by = { signal, progress: ({ text }: { text?: string | null }) => progress(text ?? "") };
  await withExecutable(host.arch, { env, by }, async (file) => {
    progress(`putting pgdba on ${host.name}`);
    await host.put(program, { local: file }, 0o700);
  });
  if (!(await starts(host, program)))
    throw new PgdbaError("command_failed", `The program of pgdba does not start on ${host.name}`, {
      hint: `Start ${program} there as the server's user, and see what it says.`,
    });
  const identity = await identityOf(host.arch);
  await host.put(`${program}.json`, { content: JSON.stringify({ identity }) }, 0o600);
  return true;
}

/** The program that runs now. */
function own(): string[] {
  if (Bun.isStandaloneExecutable) return [process.execPath];
  for (let folder = import.meta.dir; ; folder = dirname(folder)) {
    const launcher = join(folder, "engine/pgdba");
    if (existsSync(launcher)) return [launcher];
    if (folder === dirname(folder)) return ["pgdba"];
  }
}

async function starts(host: Pick<Host, "run">, program: string): Promise<boolean> {
  try {
    const { exit_code, stdout } = await host.run([program, "--version", "--format", "json"]);
    if (exit_code !== 0) return false;
    const told = JSON.parse(stdout) as { data?: { version?: string } };
    return told.data?.version === packageJson.version;
  } catch {
    return false;
  }
}
