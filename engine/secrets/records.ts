import type { Envelope, Json } from "../types.ts";

/** Names, states, codes, places and times: programs go by them, so they are never masked. */
const STRUCTURAL = new Set([
  "at",
  "cluster",
  "code",
  "column",
  "exit",
  "file",
  "finished_at",
  "gate",
  "head",
  "holder",
  "id",
  "kind",
  "layer",
  "level",
  "line",
  "name",
  "path",
  "phase",
  "risk",
  "rule",
  "run",
  "runbook",
  "severity",
  "signal",
  "started_at",
  "status",
  "step",
  "timestamp",
  "type",
]);
/** Keys that results of steps and errors have: a secret that is one of these words tells nothing where it is a key. */
export const OURS: ReadonlySet<string> = new Set([
  ...STRUCTURAL,
  "attempts",
  "changed",
  "command",
  "data",
  "duration_ms",
  "error",
  "exit_code",
  "fields",
  "hint",
  "input",
  "message",
  "output",
  "params",
  "retryable",
  "row_count",
  "rows",
  "stderr",
  "stdout",
  "truncated",
  "where",
]);

/** The keys of data from steps and people: all of it is masked, wherever it stands. */
const DATA = new Set(["data", "input", "output", "params", "preview"]);

export interface Masks {
  redact(text: string): string;
  redactOurs(text: string): string;
  redactData<T>(data: T): T;
}

/** A record of ours (an event, an error, a run) with its free texts and its data masked; keys are never masked. */
export function redactRecord<T>(masks: Masks, record: T): T {
  return walk(masks, record as unknown) as T;
}

/** Masks the output of a command. Of a run's `data`, all but `run` is the output of its runbook. */
export function redactEnvelope(masks: Masks, envelope: Envelope): Envelope {
  const { success, timestamp, command, data, error } = envelope;
  return {
    success,
    timestamp,
    // Two words of ours, unless somebody typed something else there.
    command: /^[\w ./-]*$/.test(command) ? command : masks.redact(command),
    // The data of a failed run is the output of its runbook, all of it.
    data: error?.run === undefined ? redactOutput(masks, data) : masks.redactData(data),
    error: redactRecord(masks, error),
  };
}

function redactOutput(masks: Masks, data: Json): Json {
  if (data === null || typeof data !== "object" || Array.isArray(data) || !("run" in data))
    return redactRecord(masks, data);
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      key === "run" ? redactRecord(masks, value) : masks.redactData(value),
    ]),
  );
}

function walk(masks: Masks, value: unknown): unknown {
  if (typeof value === "string") return masks.redact(value);
  if (Array.isArray(value)) return value.map((item) => walk(masks, item));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (DATA.has(key)) return [key, masks.redactData(item)];
      // A hint is pgdba's own, or the author's of a runbook: no server and no program writes one.
      if (key === "hint" && typeof item === "string") return [key, masks.redactOurs(item)];
      return [key, STRUCTURAL.has(key) && typeof item !== "object" ? item : walk(masks, item)];
    }),
  );
}
