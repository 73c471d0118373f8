import { PgdbaError } from "../errors.ts";
import type {
  ErrorRecord,
  Hazard,
  Json,
  JsonObject,
  LockWord,
  Risk,
  RunStatus,
  StepResult,
} from "../types.ts";
import type { FrozenDocs } from "./docs.ts";
import type { Holder } from "./holder.ts";

/** The record of a run before its first step. */
export interface RunHeader {
  id: string;
  runbook: string;
  digest: string;
  docs: FrozenDocs;
  params: JsonObject;
  target: { name: string; identity: string | null; flags: JsonObject };
  risk: Risk;
  plan: boolean;
  holder: Holder;
  started_at: string;
  view: JsonObject;
  /** The danger that the gates let through, beside its risk. */
  judged: RunJudged;
  /** For the audit alone: what was said to the gates, and the approval by which they let it through. */
  said?: JsonObject;
  approval?: string | null;
}

export interface RunJudged {
  hazards: Hazard[];
  locks: LockWord[];
  /** The runbook that takes a verified backup first. */
  backup: string | null;
  /** A person said that data may be lost without one. */
  withoutBackup: boolean;
}

export interface RunRow extends Omit<RunHeader, "docs" | "view" | "judged" | "said" | "approval"> {
  status: RunStatus;
  exit: number | null;
  finished_at: string | null;
  duration_ms: number | null;
  cancelled: string | null;
  /** The failure that made its undo begin. */
  unwinding: ErrorRecord | null;
  output: Json;
  error: ErrorRecord | null;
  /** The target as its expressions saw it. */
  view: JsonObject | null;
  /** Null in rows of an older version. */
  judged: RunJudged | null;
}

export type Phase = "main" | "undo";

/** Tells whether a step has acted, over all its attempts. An act that is known not to have happened is not taken back. */
export type Happened = "no" | "maybe" | "yes";

/** The statement of a person about a step that nothing else can tell about. */
export type Said = "done" | "not_done";

/** An answer as it was given. */
export interface Answer {
  path: string;
  said: Said;
  at: string;
  holder: Holder;
}

export interface StepRow {
  path: string;
  id: string;
  type: string;
  /** `past`: of an ended round of a runbook that watches. */
  phase: Phase | "past";
  /** `open`: it is under way, or its process died. `retrying`: an attempt has failed, and the next has not begun. */
  status: StepResult["status"] | "open" | "retrying";
  /** True when a secret was masked in the result, so that it can't be used again. */
  masked: boolean;
  result: StepResult | null;
  undo: Json;
  started_at: string;
  /** Null in rows of an older version. */
  happened: Happened | null;
  /** Holds until the step begins again. */
  assumed: Said | null;
  /** The attempt that was begun last; these are null of a read, and in rows of an older version. */
  attempts: number | null;
  /** Keyed digests of its input and of those of its undo. */
  input_digest: string | null;
  undo_digest: string | null;
}

/** The record that is written before a step acts. */
export interface Intent {
  path: string;
  id: string;
  type: string;
  phase: Phase;
  input: Json;
  undo: Json;
  started_at: string;
  attempts?: number;
  input_digest?: string | null;
  undo_digest?: string | null;
}

/** A row of `run` as SQLite gives it: JSON as text. */
export type RawRun = Omit<
  RunRow,
  "params" | "target" | "plan" | "holder" | "output" | "error" | "unwinding" | "view" | "judged"
> &
  Record<"params" | "target" | "holder", string> &
  Record<"output" | "error" | "unwinding" | "view" | "judged", string | null> & { plan: number };

/** A row of `step`, likewise. */
export type RawStep = Omit<StepRow, "masked" | "result" | "undo"> &
  Record<"result" | "undo", string | null> & { masked: number };

type Check = (value: JsonObject) => boolean;

const anything: Check = () => true;
const isTarget: Check = (value) => has(value, { name: "string", flags: "object" });
const isError: Check = (value) => has(value, { code: "string", message: "string" });
const isJudged: Check = ({ hazards, locks, backup, withoutBackup }) =>
  [hazards, locks].every((list) => Array.isArray(list)) &&
  (backup === null || typeof backup === "string") &&
  typeof withoutBackup === "boolean";
const isHolder: Check = (value) =>
  has(value, { user: "string", host: "string", pid: "number", started: "string" });

/** The holder of a lock; undefined when its record is damaged. */
export function holderIn(text: string | null): Holder | undefined {
  const column = columns({ holder: text });
  const holder = column<Holder>("holder", isHolder);
  return column.damaged.length === 0 ? holder : undefined;
}

/** A run whose record can't be read: somebody else, or a broken disk, has written to the journal. */
export interface DamagedRun {
  id: string;
  runbook: string;
  started_at: string;
  /** The columns that can't be read. */
  damaged: string[];
}

/** The run, or the readable part of its record when that is damaged. */
export function readRun(row: RawRun): RunRow | DamagedRun {
  const column = columns(row);
  const read: RunRow = {
    ...row,
    params: column<JsonObject>("params"),
    target: column<RunRow["target"]>("target", isTarget),
    plan: row.plan === 1,
    holder: column<Holder>("holder", isHolder),
    output: column<Json>("output", anything, true),
    error: column<ErrorRecord | null>("error", isError, true),
    unwinding: column<ErrorRecord | null>("unwinding", isError, true),
    view: column<JsonObject | null>("view", () => true, true),
    judged: column<RunJudged | null>("judged", isJudged, true),
  };
  if (column.damaged.length === 0) return read;
  const { id, runbook, started_at } = row;
  return { id, runbook, started_at, damaged: column.damaged };
}

/** The first `limit` runs that fit. */
export function firstOf(
  rows: Iterable<RawRun>,
  limit: number,
  fits: (run: RunRow | DamagedRun) => boolean,
): (RunRow | DamagedRun)[] {
  const found: (RunRow | DamagedRun)[] = [];
  for (const raw of rows) {
    const run = readRun(raw);
    if (fits(run)) found.push(run);
    if (found.length >= limit) break;
  }
  return found;
}

export type Unfinished = Pick<RunRow, "id" | "runbook" | "target" | "holder">;

/** The unfinished step, or none when its record is damaged. */
export function readUnfinished(row: Pick<RawRun, keyof Unfinished>): Unfinished[] {
  const column = columns(row);
  const { id, runbook } = row;
  const read = {
    id,
    runbook,
    target: column("target", isTarget),
    holder: column("holder", isHolder),
  };
  return column.damaged.length === 0 ? [read as Unfinished] : [];
}

export type RawAnswer = Omit<Answer, "holder"> & { holder: string };

/** The answer, or none when its record is damaged. */
export function readAnswer(row: RawAnswer): Answer[] {
  const column = columns(row);
  const holder = column<Holder>("holder", isHolder);
  return column.damaged.length === 0 ? [{ ...row, holder }] : [];
}

/** @throws PgdbaError journal_failed for one whose record is damaged */
export function readStep(row: RawStep): StepRow {
  const column = columns(row);
  const read: StepRow = {
    path: row.path,
    id: row.id,
    type: row.type,
    phase: row.phase,
    status: row.status,
    masked: row.masked === 1,
    result: column<StepResult | null>(
      "result",
      (result) =>
        has(result, { status: "string" }) &&
        (result["error"] === null || has(result["error"], { code: "string", message: "string" })),
      true,
    ),
    undo: column<Json>("undo", anything, true),
    started_at: row.started_at,
    happened: row.happened ?? null,
    assumed: row.assumed ?? null,
    attempts: row.attempts ?? null,
    input_digest: row.input_digest ?? null,
    undo_digest: row.undo_digest ?? null,
  };
  if (column.damaged.length === 0) return read;
  throw damagedRecord(`step ${row.path}`, column.damaged);
}

export function damagedRecord(what: string, damaged: readonly string[]): PgdbaError {
  return new PgdbaError(
    "journal_failed",
    `The record of ${what} in the journal is damaged: ${damaged.join(", ")} can't be read`,
    {
      hint: "Look at the target for what that run did; it can't be resumed from here. A copy of journal.db in PGDBA_HOME may still have it.",
      data: { damaged: [...damaged] },
    },
  );
}

/** Reads the JSON columns of a row, and keeps the names of those that hold something else. */
function columns(row: object) {
  const damaged: string[] = [];
  const read = <T>(name: string, check: Check = anything, optional = false): T => {
    const text = (row as Record<string, unknown>)[name];
    // A column that an older version did not have is not there.
    if ((text === null || text === undefined) && optional) return null as T;
    try {
      const value = JSON.parse(String(text)) as Json;
      // A JSON null, a list or a plain value is sound only where anything is.
      if (optional && check === anything) return value as T;
      if (has(value, {}) && check(value)) return value as T;
    } catch {
      // The text is no JSON.
    }
    damaged.push(name);
    return null as T;
  };
  return Object.assign(read, { damaged });
}

function has(
  value: unknown,
  types: Record<string, "string" | "number" | "object">,
): value is JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const record = value as JsonObject;
  return Object.entries(types).every(
    ([key, type]) => record[key] !== null && typeof record[key] === type,
  );
}
