import { PgdbaError } from "../engine/errors.ts";
import type { Json, JsonSchema, SpawnResult } from "../engine/types.ts";

export type Parse = "none" | "json" | "lines";

/** The inputs that `exec` and `shell` share. */
export interface ProcessInput {
  env?: Record<string, string | number | boolean>;
  cwd?: string;
  effect?: "read" | "change";
  idempotent?: boolean;
  ok_exit_codes?: number[];
  parse?: Parse;
  max_bytes?: number;
}

export const processInputProperties = {
  env: {
    type: "object",
    description: "Environment variables added to pgdba's own; the way to hand over a secret",
    additionalProperties: { type: ["string", "number", "boolean"] },
  },
  cwd: {
    type: "string",
    description: "Working directory; by default the one where pgdba was called",
  },
  effect: {
    enum: ["read", "change"],
    default: "change",
    "x-lang": "static",
    description: "`read`: it changes nothing, so `--plan` runs it",
  },
  idempotent: {
    type: "boolean",
    default: false,
    description: "Doing it twice is the same as doing it once, so `resume` may repeat it",
  },
  ok_exit_codes: {
    type: "array",
    items: { type: "integer", minimum: 0, maximum: 255 },
    minItems: 1,
    default: [0],
    description: "Exit codes that mean success",
  },
  parse: {
    enum: ["none", "json", "lines"],
    default: "none",
    "x-lang": "static",
    description: "What stdout holds; `json` and `lines` add an output of that name",
  },
  max_bytes: {
    type: "integer",
    minimum: 1,
    maximum: 64 * 1024 * 1024,
    default: 1024 * 1024,
    description: "Bytes kept of stdout and of stderr each; the rest is read and dropped",
  },
} as const satisfies Record<string, JsonSchema>;

const properties = {
  exit_code: { type: "integer" },
  stdout: { type: "string", description: "Its first `max_bytes`" },
  stderr: { type: "string", description: "Its last `max_bytes`" },
  truncated: { type: "boolean", description: "Output beyond `max_bytes` was dropped" },
} satisfies Record<string, JsonSchema>;
const required = Object.keys(properties);
const lines: JsonSchema = { type: "array", items: { type: "string" } };

export const processOutputSchema: JsonSchema = {
  type: "object",
  properties: { ...properties, json: {}, lines },
  required,
  additionalProperties: false,
};

/** The output schema as `parse`, as written, determines it. */
export function processOutputFor(input: Json): JsonSchema {
  const parse = (input as ProcessInput).parse;
  const extra: Record<string, JsonSchema> =
    parse === "json" ? { json: {} } : parse === "lines" ? { lines } : {};
  return {
    type: "object",
    properties: { ...properties, ...extra },
    required: [...required, ...Object.keys(extra)],
    additionalProperties: false,
  };
}

export function processEnv(env: ProcessInput["env"] = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}

/**
 * Turns the result of a finished process into the step's output.
 * @throws PgdbaError command_failed (exit code or signal) | limit_exceeded, command_failed (stdout can't be parsed)
 */
export function processOutput(what: string, result: SpawnResult, input: ProcessInput): Json {
  const { exit_code, signal, stdout, stderr, truncated } = result;
  if (exit_code === null || !(input.ok_exit_codes ?? [0]).includes(exit_code)) {
    const how =
      exit_code === null ? `was killed by ${signal}` : `failed with exit code ${exit_code}`;
    const tail = lastLines(stderr.trim() === "" ? stdout : stderr);
    throw new PgdbaError("command_failed", `${what} ${how}${tail === "" ? "" : `: ${tail}`}`, {
      hint:
        exit_code === null
          ? undefined
          : "If that code means success here, add it to `ok_exit_codes`.",
      data: { exit_code, signal, stderr: tail },
    });
  }
  const output = { exit_code, stdout, stderr, truncated };
  if (input.parse === undefined || input.parse === "none") return output;
  if (truncated) {
    throw new PgdbaError("limit_exceeded", `${what} printed more than can be parsed`, {
      hint: "Raise `max_bytes`, or make it print less.",
    });
  }
  if (input.parse === "lines") {
    const parts = stdout.split(/\r?\n/);
    if (parts.at(-1) === "") parts.pop();
    return { ...output, lines: parts };
  }
  return { ...output, json: parseJson(what, stdout) };
}

function parseJson(what: string, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new PgdbaError("command_failed", `${what} did not print JSON`, {
      cause,
      hint: "Look at what it prints with `parse: none`.",
      data: { stdout: text.slice(0, 500) },
    });
  }
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-5).join("\n").slice(-2000);
}
