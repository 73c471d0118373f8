/** The real command line as a child process, each in folders of its own. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Envelope, Json } from "../../engine/types.ts";
import { PGDBA_SOURCE } from "../support/source.ts";

const LAUNCHER = join(import.meta.dir, "../../engine/pgdba");
const MAIN = join(import.meta.dir, "../../engine/main.ts");
/** A child that hangs is a failure of the test that started it, not of the whole suite. */
/** Only what hangs takes longer, also on a busy machine. */
const LIMIT_MS = 180_000;

export type Env = Record<string, string>;

export interface Place {
  root: string;
  home: string;
  cwd: string;
  env: Env;
}

export interface Ran {
  exit: number;
  stdout: string;
  stderr: string;
  envelope: Envelope;
}

export interface Options {
  env?: Env;
  stdin?: string;
  /** When it counts as hanging; a minute without it. */
  limitMs?: number;
  /** Written below the working folder first. */
  files?: Record<string, string>;
  /** A module that the process loads before its own. */
  preload?: string;
}

const roots: string[] = [];

/** A state folder, a machine-wide folder and a working folder, all empty; `files` are written below the root (`home/`, `etc/`, `cwd/`). */
export function place(files: Record<string, string> = {}): Place {
  const root = mkdtempSync(join(tmpdir(), "pgdba-e2e-"));
  roots.push(root);
  for (const name of ["home", "etc", "cwd"]) mkdirSync(join(root, name));
  write(root, files);
  const env: Env = {
    PATH: process.env["PATH"] ?? "",
    HOME: root,
    USER: "tester",
    PGDBA_SOURCE,
    PGDBA_HOME: join(root, "home"),
    PGDBA_ETC: join(root, "etc"),
  };
  return { root, home: join(root, "home"), cwd: join(root, "cwd"), env };
}

export function removePlaces(): void {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
}

export function write(root: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(root, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

/** The project's runbooks of a place, by name: `{ "team/x": yaml }` as files for `place`. */
export function runbooks(texts: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [`cwd/.pgdba/runbooks/${name}.yaml`, text]),
  );
}

/** Step types of the project, allowed by the operator's configuration; the text is the object's members. */
export function stepTypes(types: Record<string, string>): Record<string, string> {
  const about = `summary: "t", example: "", effect: "read", idempotent: true, input: {type: "object"}, output: {type: "object"},`;
  return {
    "home/config.yaml": "user_steps: true\n",
    ...Object.fromEntries(
      Object.entries(types).map(([type, members]) => [
        `cwd/.pgdba/steps/${type}.ts`,
        `export default { type: ${JSON.stringify(type)}, ${about}\n${members} };\n`,
      ]),
    ),
  };
}

export class Running {
  readonly pid: number;
  stdout = "";
  stderr = "";
  readonly #child: Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  readonly #limitMs: number;
  #wake: () => void = () => {};

  constructor(args: string[], at: Place, options: Options = {}) {
    this.#limitMs = options.limitMs ?? LIMIT_MS;
    if (options.files) write(at.cwd, options.files);
    const { preload } = options;
    const program =
      preload === undefined ? [LAUNCHER] : [process.execPath, "--preload", preload, MAIN];
    this.#child = Bun.spawn([...program, ...args], {
      cwd: at.cwd,
      env: { ...at.env, ...options.env },
      stdin: options.stdin === undefined ? "ignore" : "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    if (options.stdin !== undefined && this.#child.stdin) {
      this.#child.stdin.write(options.stdin);
      void this.#child.stdin.end();
    }
    this.pid = this.#child.pid;
    this.#read = Promise.all([
      this.#collect(this.#child.stdout, (text) => (this.stdout += text)),
      this.#collect(this.#child.stderr, (text) => (this.stderr += text)),
    ]);
  }

  async #collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      add(decoder.decode(chunk, { stream: true }));
      this.#wake();
    }
  }

  /** Resolves once stderr holds `text`. */
  async said(text: string | RegExp): Promise<void> {
    const deadline = Date.now() + LIMIT_MS;
    const found = () =>
      typeof text === "string" ? this.stderr.includes(text) : text.test(this.stderr);
    while (!found()) {
      const over = this.#child.exitCode !== null || this.#child.signalCode !== null;
      // What it said last may still be under way when it has ended.
      if (over) await this.#read;
      if (over && found()) return;
      if (over || Date.now() > deadline) {
        throw new Error(
          `never said ${text}; exit ${this.#child.exitCode}\n${this.stderr}\n${this.stdout}`,
        );
      }
      const waked = Promise.withResolvers<void>();
      this.#wake = waked.resolve;
      await Promise.race([waked.promise, Bun.sleep(50)]);
    }
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.pid, name);
  }

  /** Waits for its end. Minus the signal's number when one ended it. @throws when it hangs or when stdout is not one envelope */
  async done(): Promise<Ran> {
    const { exit, stdout, stderr } = await this.ended();
    return { exit, stdout, stderr, envelope: envelopeOf(stdout, stderr) };
  }

  async ended(): Promise<Omit<Ran, "envelope">> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), this.#limitMs);
    const exit = await this.#child.exited;
    clearTimeout(timer);
    await this.#read;
    return { exit, stdout: this.stdout, stderr: this.stderr };
  }
}

/** Runs one command line and reads its envelope. @throws when stdout is anything but one envelope */
export async function cli(args: string[], at: Place, options: Options = {}): Promise<Ran> {
  return new Running(args, at, options).done();
}

/** The same without looking at stdout. */
export async function raw(
  args: string[],
  at: Place,
  options: Options = {},
): Promise<Omit<Ran, "envelope">> {
  return new Running(args, at, options).ended();
}

const KEYS = ["success", "timestamp", "command", "data", "error"];

/** @throws when `stdout` is not exactly one JSON object of the five keys */
export function envelopeOf(stdout: string, stderr = ""): Envelope {
  let parsed: Envelope;
  try {
    parsed = JSON.parse(stdout) as Envelope;
  } catch {
    throw new Error(
      `stdout is not one JSON object: ${JSON.stringify(stdout.slice(0, 2000))}\n${stderr.slice(0, 4000)}`,
    );
  }
  if (Object.keys(parsed).join() !== KEYS.join())
    throw new Error(`not an envelope: ${stdout.slice(0, 2000)}`);
  if (parsed.success !== (parsed.error === null))
    throw new Error(`success and error disagree: ${stdout}`);
  if (parsed.error && !parsed.error.hint && parsed.error.code !== "command_failed") {
    throw new Error(`an error without a hint: ${stdout}`);
  }
  return parsed;
}

/** The value at a path of keys and indexes, or undefined. */
export function at(value: unknown, ...path: (string | number)[]): Json | undefined {
  let current = value as Json | undefined;
  for (const key of path) {
    if (current === null || typeof current !== "object") return undefined;
    current = (current as { [key: string]: Json })[key];
  }
  return current;
}

/** Status of each step of the run, by path. */
export function statuses({ envelope }: Ran): Record<string, string> {
  const run = at(envelope, "data", "run") ?? at(envelope, "error", "run");
  const steps = (at(run, "steps") ?? []) as { path: string; status: string }[];
  return Object.fromEntries(steps.map((step) => [step.path, step.status]));
}

export function runId({ envelope }: Ran): string {
  return String(at(envelope, "data", "run", "id") ?? at(envelope, "error", "run", "id"));
}

/** Every file below a folder with its bytes as Latin-1 text, for searching. */
export function filesBelow(dir: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) {
      const file = join(entry.parentPath, entry.name);
      out.set(file, readFileSync(file, "latin1"));
    }
  }
  return out;
}

/** True while the process is there and not a zombie. */
export function alive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !["Z", "X"].includes(stat.slice(stat.lastIndexOf(")") + 2)[0]!);
  } catch {
    return false;
  }
}

/** Resolves once `test` holds. @throws after twenty seconds: a busy machine is no fault */
export async function eventually(test: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!test()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await Bun.sleep(20);
  }
}
