import { PgdbaError } from "../../engine/errors.ts";
import type { JsonObject } from "../../engine/types.ts";
import { defineStep } from "../define.ts";
import { session } from "../sql/session.ts";
import { additions } from "./tune/additions.ts";
import { type Detected, detect, withinBuild } from "./tune/detect.ts";
import type { DbSize, Disk, Os, TuneInput, Workload } from "./tune/input.ts";
import { maxConnections } from "./tune/memory.ts";
import { pgtune } from "./tune/pgtune.ts";
import { formatKb, MB, parseKb } from "./tune/size.ts";
import { overridesOf, overrideText } from "./place/overrides.ts";
import { warnings } from "./tune/warnings.ts";
import { worstCaseMemory } from "./tune/worst-case.ts";

const PGTUNE = "PGTune (July 2026)";
const LEAST_MEMORY = 16 * MB;

interface Given {
  workload: Workload;
  memory?: string | null;
  cpus?: number | null;
  disk?: Disk | null;
  db_size?: DbSize | null;
  connections?: number | null;
  pg_version?: number | null;
  os?: Os | null;
  pgtune_only?: boolean;
}

export default defineStep({
  type: "config.tune",
  summary: "Recommend PostgreSQL settings for a machine and a workload, each with its reason.",
  docs: [
    "Gives what PGTune recommends, value for value, and on top what it leaves out (`addition: true`; none with `pgtune_only`).",
    "`memory` is what the server may use: a container's limit, not the host's RAM.",
    "With a server, its version, `max_connections` and what its build can do are asked of it; memory and CPUs too when the provider of its node tells them, when it runs on this host, or when the role may read the server's files (a superuser may). What is given wins.",
    "The result's `memory` says what the settings could take in the worst case, part by part.",
  ].join("\n"),
  example: "config.tune: {workload: oltp, memory: 64GB, cpus: 16, disk: ssd, pg_version: 18}",
  effect: "read",
  idempotent: true,
  uses: ["postgres", "nodes"],
  input: {
    type: "object",
    additionalProperties: false,
    required: ["workload"],
    properties: {
      workload: {
        type: "string",
        enum: ["oltp", "olap", "mixed", "web", "desktop"],
        description: "The work of the server",
      },
      memory: { type: ["string", "null"], description: "RAM the server may use, such as 64GB" },
      cpus: {
        type: ["integer", "null"],
        minimum: 1,
        maximum: 262143,
        description: "CPUs the server may use",
      },
      disk: {
        type: ["string", "null"],
        enum: ["ssd", "hdd", "nvme", "san", null],
        description: "Storage of the data; by default ssd",
      },
      db_size: {
        type: ["string", "null"],
        enum: ["less_ram", "mid_ram", "greater_ram", null],
        description:
          "Size of the data against RAM: fits in it, about the same, much more; by default mid_ram",
      },
      connections: {
        type: ["integer", "null"],
        minimum: 1,
        maximum: 262143,
        description: "max_connections; the workload decides by default",
      },
      pg_version: {
        type: ["integer", "null"],
        minimum: 10,
        maximum: 99,
        description: "Major version of the server",
      },
      os: {
        type: ["string", "null"],
        enum: ["linux", "windows", "mac", null],
        description: "System of the server; by default linux",
      },
      pgtune_only: {
        type: "boolean",
        default: false,
        description: "Only the settings that PGTune recommends",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["settings", "inputs", "memory", "warnings"],
    properties: {
      settings: {
        type: "object",
        description: "By name of the setting; values as they stand in postgresql.conf",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          required: ["value", "reason", "source", "addition"],
          properties: {
            value: { type: ["string", "number"] },
            reason: { type: "string", minLength: 20 },
            source: { type: "string", minLength: 1 },
            addition: { type: "boolean" },
          },
        },
      },
      inputs: {
        type: "object",
        description: "What the recommendation rests on, and where each fact is from",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          required: ["value", "source"],
          properties: {
            value: { type: ["string", "number", "null"] },
            source: { type: "string", enum: ["given", "detected", "default"] },
          },
        },
      },
      memory: {
        type: "object",
        additionalProperties: false,
        required: ["ram_bytes", "worst_case_bytes", "fits", "share", "formula", "parts"],
        properties: {
          ram_bytes: { type: "integer" },
          worst_case_bytes: { type: "integer" },
          fits: { type: "boolean" },
          share: { type: "number", description: "Worst case over RAM" },
          formula: { type: "string" },
          parts: {
            type: "array",
            items: {
              type: "object",
              additionalProperties: false,
              required: ["name", "formula", "bytes"],
              properties: {
                name: { type: "string" },
                formula: { type: "string" },
                bytes: { type: "integer" },
              },
            },
          },
        },
      },
      warnings: { type: "array", items: { type: "string" } },
    },
  },
  async run(ctx, input) {
    const given: Given = input;
    const server = await detect(ctx);
    const machine = resolve(given, server);
    const recommended = [
      ...pgtune(machine).map((setting) => ({ ...setting, source: PGTUNE, addition: false })),
      ...(given.pgtune_only
        ? []
        : additions(machine).map((setting) => ({ ...setting, addition: true }))),
    ];
    // Values for a server of another version are not checked against this one.
    const { settings, said } =
      server?.version === machine.version
        ? withinBuild(recommended, server.settings)
        : { settings: recommended, said: [] };
    const values = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
    const worst = worstCaseMemory(values, machine.version, machine.memoryKb);
    const beyond = beyondMachine(machine, server);
    for (const warning of beyond) ctx.warn(warning);
    const pg = server === null ? null : await session(ctx);
    const overridden =
      pg === null || server === null
        ? []
        : await overridesOf(pg, new Map(Object.entries(values)), server.settings, ctx.signal);
    return {
      settings: Object.fromEntries(settings.map(({ name, ...rest }) => [name, rest])),
      inputs: inputsOf(machine, given, server),
      memory: { ...worst, parts: worst.parts.map((part) => ({ ...part })) },
      warnings: [
        ...beyond,
        ...said,
        ...overridden.map((one) => `A value wins over the recommended one: ${overrideText(one)}`),
        ...warnings(machine, settings, worst, server?.version === machine.version),
      ],
    };
  },
});

/**
 * Takes each value as given, else as detected, else its default.
 * @throws PgdbaError invalid_param when a value that can't be guessed is missing
 */
function resolve(given: Given, server: Detected | null): TuneInput {
  const version = given.pg_version ?? server?.version;
  const memoryKb = given.memory ? parseKb(given.memory) : (server?.memoryKb ?? undefined);
  if (memoryKb === undefined || !version) {
    const missing = [
      ...(memoryKb === undefined ? ["memory"] : []),
      ...(version ? [] : ["pg_version"]),
    ];
    const flags = missing
      .map((name) => (name === "memory" ? "--memory 64GB" : "--pg-version 18"))
      .join(" and ");
    throw new PgdbaError(
      "invalid_param",
      server === null
        ? `config.tune has no server to ask and was not given ${flags}`
        : `The server does not run on this host, and this role may not ask it for its memory: config.tune needs ${flags}`,
      {
        hint: `Add ${flags.replace(" and ", " ")}; --cpus, --disk, --db-size, --connections and --os make the answer better.${server === null ? "" : ` Or let the role ask: ${server.grants}.`}`,
        data: { missing },
      },
    );
  }
  if (memoryKb < LEAST_MEMORY) {
    throw new PgdbaError(
      "invalid_param",
      `memory is ${given.memory ?? formatKb(memoryKb)}, but PostgreSQL does not run in less than 16MB`,
      { hint: "Write the unit: 64GB. A bare number is bytes." },
    );
  }
  return {
    version,
    os: given.os ?? server?.os ?? "linux",
    workload: given.workload,
    memoryKb,
    cpus: given.cpus ?? server?.cpus ?? null,
    connections: given.connections ?? server?.connections ?? null,
    disk: given.disk ?? "ssd",
    dbSize: given.db_size ?? "mid_ram",
  };
}

/** A value beyond the machine is a mistake only when it is meant for this machine. */
function beyondMachine({ memoryKb }: TuneInput, server: Detected | null): string[] {
  const has = server?.memoryKb ?? null;
  if (has === null || memoryKb <= has) return [];
  return [
    `memory is given as ${formatKb(memoryKb)}, but the server's machine lets it have ${formatKb(has)}: with these values it may not start, or be ended for lack of memory.`,
  ];
}

function inputsOf(machine: TuneInput, given: Given, server: Detected | null): JsonObject {
  const from = (value: string | number | null, asGiven: unknown, detected?: unknown) => ({
    value,
    source: asGiven != null ? "given" : detected != null ? "detected" : "default",
  });
  return {
    workload: from(machine.workload, given.workload),
    memory: from(formatKb(machine.memoryKb), given.memory, server?.memoryKb),
    cpus: from(machine.cpus, given.cpus, server?.cpus),
    disk: from(machine.disk, given.disk),
    db_size: from(machine.dbSize, given.db_size),
    connections: from(maxConnections(machine), given.connections, server?.connections),
    pg_version: from(machine.version, given.pg_version, server?.version),
    os: from(machine.os, given.os, server?.os),
  };
}
