/** `pgdba wal` and `pgdba work`: what is done beside the data, by the server itself or for a pgdba elsewhere. */
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { failedOf, type Outcome, type Told } from "./work.ts";

export interface Streams {
  cwd: string;
  env: Readonly<Record<string, string | undefined>>;
  signal: AbortSignal;
  stdin(): AsyncIterable<Uint8Array>;
  stdout(bytes: Uint8Array): Promise<void>;
  stderr(bytes: Uint8Array): Promise<void>;
  /** Starts this program anew with these words, as a process that goes on when this one ends. */
  begin?(argv: string[]): void;
}

/** The statuses of `pgdba wal get`: PostgreSQL takes the first for "there is none" and goes on, the second for "stop". */
export const MISSING = 1;
export const BROKEN = 200;

const USAGE = `pgdba wal push [--settings FILE] PATH
pgdba wal get [--settings FILE] [--patience SECONDS] NAME PATH
pgdba work JOB   (its order on standard input)`;

/** @returns the exit code; it never throws */
export async function worker(argv: readonly string[], io: Streams): Promise<number> {
  const [kind, verb = "", ...rest] = argv;
  if (kind === "work") return work(verb, io);
  try {
    const options = optionsOf(rest);
    if (verb === "ahead" && options.words.length === 3) return await ahead(options, io);
    const { push, get } = await import("./wal.ts");
    const begin = (words: string[]) => io.begin?.(["wal", ...words]);
    if (verb === "push" && options.words.length === 1)
      return await push(options.words[0]!, { ...io, ...options }).then(() => 0);
    if (verb === "get" && options.words.length === 2)
      return (await get(options.words[0]!, options.words[1]!, { ...io, ...options, begin }))
        ? 0
        : MISSING;
    throw new PgdbaError("usage", "There is no such command", { hint: USAGE });
  } catch (thrown) {
    const { code, message, hint } = toPgdbaError(thrown);
    const said = `pgdba wal ${verb}: ${code}: ${message}${hint === undefined ? "" : ` — ${hint}`}\n`;
    await io.stderr(new TextEncoder().encode(said)).catch(() => {});
    // A failed archive_command is tried again by the server; above 125 its archiver would be restarted for nothing.
    return verb === "get" ? BROKEN : code === "usage" ? 2 : 1;
  }
}

/** `wal get` starts it, and nobody types it. */
async function ahead({ words, settings }: Options, { signal }: Streams): Promise<number> {
  const [file = "", bytes = "", folder = ""] = words;
  const { fetchAhead } = await import("./wal/ahead.ts");
  await fetchAhead({ file, bytes: Number(bytes), folder, settings: settings ?? "", signal });
  return 0;
}

interface Options {
  words: string[];
  settings?: string;
  patienceMs?: number;
}

/** @throws PgdbaError usage */
function optionsOf(words: readonly string[]): Options {
  const options: Options = { words: [] };
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (!word.startsWith("--")) options.words.push(word);
    else if (word === "--settings" && at + 1 < words.length) options.settings = words[++at]!;
    else if (word === "--patience" && Number(words[at + 1]) >= 0)
      options.patienceMs = Number(words[++at]) * 1000;
    else throw new PgdbaError("usage", `There is no option ${word} of this kind`, { hint: USAGE });
  }
  return options;
}

async function work(name: string, io: Streams): Promise<number> {
  const line = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value)}\n`);
  let outcome: Outcome<unknown>;
  let talks = false;
  try {
    const { JOBS } = await import("./jobs.ts");
    const job = Object.hasOwn(JOBS, name) ? JOBS[name as keyof typeof JOBS] : undefined;
    if (job === undefined)
      throw new PgdbaError("usage", `There is no job ${JSON.stringify(name)}`, { hint: USAGE });
    const { order, rest } = await orderFrom(io.stdin());
    const { run, talks: own = false } = await job();
    talks = own;
    const result = await run(order, {
      signal: io.signal,
      env: io.env,
      input: rest,
      output: io.stdout,
      tell: (told: Told) => void io.stderr(line(told)).catch(() => {}),
    });
    outcome = { ok: true, result: result ?? null };
  } catch (thrown) {
    outcome = { ok: false, error: failedOf(thrown) };
  }
  if (!talks) await io.stdout(line(outcome)).catch(() => {});
  return outcome.ok ? 0 : 1;
}

/** An order is some kilobytes: names of parts, a manifest's place. */
const MAX_ORDER_BYTES = 16 * 1024 * 1024;

/** The first line, and what comes after it. @throws PgdbaError usage */
async function orderFrom(
  stdin: AsyncIterable<Uint8Array>,
): Promise<{ order: unknown; rest: AsyncIterable<Uint8Array> }> {
  const parts = stdin[Symbol.asyncIterator]();
  const read: Uint8Array[] = [];
  let length = 0;
  let after: Uint8Array | undefined;
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    const end = part.value.indexOf(10);
    read.push(end < 0 ? part.value : part.value.subarray(0, end));
    length += part.value.length;
    if (end >= 0) {
      after = part.value.subarray(end + 1);
      break;
    }
    if (length > MAX_ORDER_BYTES) break;
  }
  const rest = async function* (): AsyncIterable<Uint8Array> {
    if (after === undefined) return;
    if (after.length > 0) yield after;
    for (let part = await parts.next(); !part.done; part = await parts.next()) yield part.value;
  };
  try {
    return { order: JSON.parse(Buffer.concat(read).toString()) as unknown, rest: rest() };
  } catch (cause) {
    throw new PgdbaError("usage", "The order on standard input is no line of JSON", {
      cause,
      hint: "pgdba itself gives it; nobody types it.",
    });
  }
}
