import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { compile } from "../../../engine/check/compile.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import type { Diagnostic, Doc, Library, StepRegistry, StepType } from "../../../engine/types.ts";

/** A library over files given by name, in a folder of its own that is gone when `work` is done. */
export async function withLibrary<T>(
  files: Record<string, string>,
  work: (library: Library) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "pgdba-check-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      const file = join(dir, `${name}.yaml`);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    return await work(openLibrary([{ name: "project", dir }]));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export function loadDoc(text: string, name = "demo/one"): Promise<Doc> {
  return withLibrary({ [name]: text }, (library) => library.load(name));
}

export function compileText(
  text: string,
  others: Record<string, string> = {},
  capabilities?: string[],
): ReturnType<typeof compile> {
  return withLibrary({ ...others, "demo/one": text }, async (library) =>
    compile(await library.load("demo/one"), { registry: { ...registry, capabilities }, library }),
  );
}

/** `line:column rule`, in the order they are reported. */
export async function faults(text: string, others: Record<string, string> = {}): Promise<string[]> {
  const { diagnostics } = await compileText(text, others);
  return diagnostics.map(brief);
}

export function brief({ where, rule }: Diagnostic): string {
  return `${where.line}:${where.column} ${rule}`;
}

/** A runbook around `steps`, which start on line 7. */
export function runbook(steps: string, risk = "read"): string {
  return `summary: A test.
risk: ${risk}
params:
  target: {type: string, required: true}
  limit: {type: integer, default: 5}
steps:
${steps}`;
}

const object = (
  properties: StepType["output"]["properties"] & object,
  required: string[] = [],
): StepType["input"] => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});

function type(name: string, more: Partial<StepType>): StepType {
  return {
    type: name,
    summary: `The ${name} step`,
    example: `- ${name}: {}`,
    effect: "read",
    idempotent: true,
    input: object({}),
    output: {},
    run: () => Promise.resolve(null),
    ...more,
  };
}

const member = object({
  name: { type: "string" },
  state: { type: "string" },
  lag: { type: "integer" },
});

const TYPES = [
  type("patroni.cluster", {
    output: object({ leader: { type: "string" }, members: { type: "array", items: member } }),
  }),
  type("replication.lag", {
    input: object({ standby: { type: "string" } }, ["standby"]),
    output: object({ bytes: { type: "integer" } }),
  }),
  type("patroni.switchover", {
    effect: "change",
    idempotent: false,
    input: object({ leader: { type: "string" }, candidate: { type: "string" } }, [
      "leader",
      "candidate",
    ]),
  }),
  type("assert", {
    input: {
      type: "array",
      items: object(
        {
          that: { type: "string", "x-lang": "cel", format: "condition" },
          message: { type: "string", "x-lang": "text" },
        },
        ["that"],
      ),
    },
  }),
  type("sql.query", {
    input: object(
      {
        sql: { type: "string", "x-lang": "static" },
        values: { type: "array" },
        max_rows: { type: "integer", minimum: 1 },
        mode: { enum: ["all", "one"] },
        pause: { type: "string", format: "duration" },
      },
      ["sql"],
    ),
    output: object({
      rows: { type: "array", items: { type: "object" } },
      row_count: { type: "integer" },
    }),
  }),
  type("shell", {
    effect: (input: { effect?: "read" | "change" }) => input.effect ?? "change",
    idempotent: (input: { idempotent?: boolean }) => input.idempotent === true,
    input: object({
      script: { type: "string", "x-lang": "static" },
      env: { type: "object", additionalProperties: { type: ["string", "number"] } },
      effect: { enum: ["read", "change"] },
      idempotent: { type: "boolean" },
    }),
    lint: (input) =>
      (input as { script?: string }).script === ""
        ? [{ path: ["script"], rule: "empty-script", message: "the script is empty" }]
        : [],
  }),
  type("set", {
    input: {
      type: "object",
      additionalProperties: { type: ["string", "number"], "x-lang": "cel" },
    },
    outputFor: (input) =>
      object(Object.fromEntries(Object.keys(input as object).map((name) => [name, {}]))),
  }),
  type("template.render", {
    input: object({
      template: { type: "string", "x-lang": "text" },
      vars: { type: "object", format: "variables" },
    }),
  }),
  type("run", {
    input: {
      type: ["string", "object"],
      format: "runbook",
      "x-lang": "static",
      properties: {
        runbook: { type: "string", format: "runbook", "x-lang": "static" },
        params: { type: "object" },
      },
      required: ["runbook"],
      additionalProperties: false,
    },
  }),
];

export const registry: StepRegistry = {
  names: () => TYPES.map((one) => one.type),
  has: (name) => TYPES.some((one) => one.type === name),
  get(name) {
    const found = TYPES.find((one) => one.type === name);
    return found
      ? Promise.resolve(found)
      : Promise.reject(new PgdbaError("invalid_runbook", `no step type ${name}`));
  },
};
