/** Hints name commands without the flags of the connection: whoever copies one must reach the server that the run was on. */
import { PgdbaError, toPgdbaError } from "../../errors.ts";
import { isMapping } from "../../json.ts";
import { shellQuoted } from "../../shared/shell-words.ts";
import type { Envelope, ErrorRecord, Json, Library, StepRegistry } from "../../types.ts";
import { paramFlags, type Parsed, paramValues, parseFlags } from "../args.ts";
import { compileClosure } from "../closure.ts";
import type { Front, IndexedRunbook } from "../front.ts";
import { type Instead, replaceCommands } from "./commands-in.ts";
import { endsBare, runbookOf, runbooksNamedIn } from "./named-runbooks.ts";

/** Where a run works, and what there is to run. */
export interface At {
  /** The flags that name its target to another command; there is no password among them. */
  flags: readonly string[];
  library: Library;
  registry: () => Promise<StepRegistry>;
}

type Told = (hint: string) => string;

/** The envelope of a run whose hints and warnings name the run's target in their commands. */
export async function envelopeAt(front: Front, at: At, envelope: Envelope): Promise<Envelope> {
  const hints: string[] = [];
  eachHint(envelope, (hint) => {
    hints.push(hint);
    return hint;
  });
  const told = await toldAt(front, at, hints.join("\n"));
  return told === null ? envelope : eachHint(envelope, told);
}

/** The same for the record of a run's error. */
export async function recordAt(
  front: Front,
  at: At,
  error: ErrorRecord | null,
): Promise<ErrorRecord | null> {
  if (error === null) return null;
  const told = await toldAt(front, at, error.hint ?? "");
  return told === null ? error : (inError(error as unknown as Json, told) as never);
}

/** The same for what was thrown before the run began. */
export async function errorAt(front: Front, at: At, thrown: unknown): Promise<PgdbaError> {
  const error = toPgdbaError(thrown);
  const { code, message, hint = "", where, step, retryable, data, nothingDone, final } = error;
  const told = await toldAt(front, at, hint);
  if (told === null || told(hint) === hint) return error;
  const rest = { where, step, retryable, data, nothingDone, final };
  return new PgdbaError(code, message, { ...rest, hint: told(hint), cause: error });
}

function eachHint(envelope: Envelope, told: Told): Envelope {
  const { data, error } = envelope;
  return {
    ...envelope,
    data: isMapping(data) && "run" in data ? { ...data, run: inRun(data["run"]!, told) } : data,
    error: error === null ? null : (inError(error as unknown as Json, told) as never),
  };
}

function inError(error: Json, told: Told): Json {
  if (!isMapping(error)) return error;
  const { hint, run, data } = error;
  // The failure that a question came up after.
  const failure = isMapping(data) ? data["failure"] : undefined;
  return {
    ...error,
    ...(typeof hint === "string" ? { hint: told(hint) } : {}),
    ...(failure === undefined
      ? {}
      : { data: { ...(data as object), failure: inError(failure, told) } }),
    ...(run === undefined ? {} : { run: inRun(run, told) }),
  };
}

function inRun(run: Json, told: Told): Json {
  if (!isMapping(run)) return run;
  const { warnings, undo } = run;
  const failed = isMapping(undo) ? undo["failed"] : undefined;
  const ofUndo = (one: Json): Json =>
    isMapping(one) ? { ...one, error: inError(one["error"] ?? null, told) } : one;
  return {
    ...run,
    ...(Array.isArray(warnings)
      ? { warnings: warnings.map((text) => (typeof text === "string" ? told(text) : text)) }
      : {}),
    ...(Array.isArray(failed) ? { undo: { ...(undo as object), failed: failed.map(ofUndo) } } : {}),
  };
}

/** What becomes of a text; null where nothing does. */
async function toldAt(front: Front, at: At, text: string): Promise<Told | null> {
  const given = flagsOf(at.flags);
  if (given.size === 0 || !text.includes("pgdba ")) return null;
  const named = await runbooksNamedIn(front, () => at.library, text);
  const runbooks = new Map<string, IndexedRunbook>();
  for (const [name, outline] of named)
    if (await takesTarget(name, outline, at)) runbooks.set(name, outline);
  if (runbooks.size === 0) return null;
  const instead: Instead = (words, { isProse }, source) => {
    const found = runbookOf(words, runbooks);
    if (found === null) return null;
    const { outline, behind } = found;
    const parsed = readAs(outline, behind, isProse);
    if (parsed === null) return null;
    const more = missing(outline, parsed, given);
    return [source, ...more.map(shellQuoted)].join(" ");
  };
  return (hint) => replaceCommands(hint, instead);
}

/** The words behind the name as the runbook takes them; null where it does not take them, or where they may be prose. */
function readAs(
  { specs }: IndexedRunbook,
  behind: readonly string[],
  isProse: boolean,
): Parsed | null {
  try {
    const parsed = parseFlags([...behind], paramFlags(specs));
    paramValues(specs, parsed, parsed.words);
    return isProse && endsBare(behind, parsed.words.length, specs) ? null : parsed;
  } catch (error) {
    if (error instanceof PgdbaError) return null;
    throw error;
  }
}

/** True for a runbook that works on an existing target. Most say what they need of it; some take whatever there is. */
async function takesTarget(
  name: string,
  { needs, specs }: IndexedRunbook,
  { library, registry }: At,
): Promise<boolean> {
  if (needs.length > 0 || Object.values(specs).some(({ target }) => isMapping(target))) return true;
  // What makes a target names it itself.
  if (Object.values(specs).some(({ target }) => target === true)) return false;
  return compileClosure(name, library, await registry()).then(
    ({ assumes }) => assumes,
    () => false,
  );
}

/** The flags of the target that the command lacks. What it names itself stays: another cluster, or another server beside the run's. */
function missing(
  { specs }: IndexedRunbook,
  { flags }: Parsed,
  given: ReadonlyMap<string, string>,
): string[] {
  if (Object.values(specs).some(({ target }) => target !== undefined) && !given.has("cluster"))
    return [];
  const says = (name: string): boolean => !(name in specs) && flags[name] !== undefined;
  if (says("cluster")) return [];
  const isElsewhere = says("host");
  return [...given].flatMap(([name, value]) =>
    name in specs || says(name) || (isElsewhere && name === "port") ? [] : [`--${name}`, value],
  );
}

/** The pairs of a list such as `--host a --port 5432`, by name. */
function flagsOf(words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    words.flatMap((word, at) =>
      at % 2 === 0 && at + 1 < words.length ? [[word.slice(2), words[at + 1]!] as const] : [],
    ),
  );
}
