import type { Hazard, Json, JsonSchema, LockWord, ParamSpec, Risk } from "../types.ts";
import { takesMany } from "../shared/bare-words.ts";
import { shellQuoted } from "../shared/shell-words.ts";
import { pad, width, wrap } from "./text.ts";

/** A flag as help and completion need it; the name stands without dashes. */
export interface FlagInfo {
  type: "string" | "boolean";
  short?: string;
  summary: string;
  /** The value names a file or folder. */
  file?: boolean;
}
export type Flags = Readonly<Record<string, FlagInfo>>;

export interface RunbookMeta {
  name: string;
  summary: string;
  description?: string | undefined;
  risk: Risk;
  hazards: readonly Hazard[];
  needs: readonly string[];
  gives: readonly string[];
  locks: readonly LockWord[];
  params: Readonly<Record<string, ParamSpec>>;
  output: JsonSchema;
  layer: string;
}

export interface CommandMeta {
  name: string;
  summary: string;
  /** Arguments after the name. */
  usage: string;
  flags?: Flags;
  /** Whole command lines. */
  examples?: readonly string[];
}

/** The confirmation that each risk needs. */
const RISK_GATES: Readonly<Record<Risk, string>> = {
  read: "only reads; no confirmation needed",
  change: "changes the target; no confirmation needed",
  disruptive:
    "others notice it, or it can't be taken back; needs --yes, or a confirmation on a terminal",
  destructive: "can't be taken back; needs --confirm=<cluster name>",
};

/** The further confirmation that each hazard needs. */
const HAZARD_GATES: Readonly<Record<Hazard, string>> = {
  fault:
    "breaks things on purpose; needs --i-know-what-i-am-doing and an explicit --cluster, and is refused on production",
  destroys: "removes the cluster; refused for one that pgdba did not make",
  loses:
    "can lose data; a verified backup is taken before what is destructive or a fault, or --without-backup=<cluster name> given",
};

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "done"],
  ["1", "failed"],
  ["2", "usage or invalid runbook"],
  ["3", "a gate refused"],
  ["4", "approval needed"],
  ["5", "failed and undone"],
  ["6", "failed, a person must look"],
  ["130", "interrupted"],
];

/** Cells of a line of help where nobody says otherwise, and at most: longer lines are hard to read. */
const COLUMNS = 100;

/** The room that help is laid out for. */
export type Room = { columns?: number | undefined };

export function roomOf({ columns }: Room): number {
  return Math.max(20, Math.min(columns ?? COLUMNS, COLUMNS));
}

/** `max_lag` as it is typed: `max-lag`. */
export function flagName(param: string): string {
  return param.replaceAll("_", "-");
}

/** The generated `--help` of a runbook. `flags` are those that every run takes. */
export function runbookHelp(meta: RunbookMeta, flags: Flags = {}, room: Room = {}): string {
  const wide = roomOf(room);
  const words = meta.name.replaceAll("/", " ");
  const params = Object.entries(meta.params);
  const usage = [
    "pgdba",
    words,
    ...positionals(params),
    ...params.filter(([, spec]) => isNeeded(spec)).map(([name, spec]) => flagForm(name, spec)),
    "[flags]",
  ];
  return sections([
    [
      "",
      [
        ...wrap(meta.summary, wide),
        ...(meta.description ? ["", ...wrap(paragraphs(meta.description), wide)] : []),
      ],
    ],
    ["Usage", [`  ${usage.join(" ")}`, `  pgdba run ${meta.name} …`]],
    ["Examples", examples(words, meta, params).map((line) => `  ${line}`)],
    [
      "Parameters",
      columns(
        params.map(([name, spec]) => [flagForm(name, spec), paramText(spec)]),
        wide,
      ),
    ],
    ["Flags", flagLines(flags, wide)],
    [
      "Risk",
      [
        [meta.risk, RISK_GATES[meta.risk]],
        ...meta.hazards.map((hazard) => [hazard, HAZARD_GATES[hazard]]),
        ["needs", meta.needs.join(", ")],
        ["gives", meta.gives.join(", ")],
        ["locks", meta.locks.join(", ")],
      ].flatMap(([word, text]) => (text === "" ? [] : [`  ${word}: ${text}`])),
    ],
    [
      "Output",
      columns(
        Object.entries(meta.output.properties ?? {}).map(([name, schema]) => [
          name,
          outputText(schema),
        ]),
        wide,
      ),
    ],
    ["Exit codes", columns(EXIT_CODES, wide)],
    ["", [`Layer: ${meta.layer}`]],
  ]);
}

/** Help of the whole tool: what to type first, then what there is. */
/** `resources`: what runbooks work on, with the actions that there are. */
export function mainHelp(
  commands: readonly CommandMeta[],
  resources: ReadonlyMap<string, readonly string[]>,
  flags: Flags = {},
  room: Room = {},
): string {
  const wide = roomOf(room);
  return sections([
    [
      "",
      wrap(
        "pgdba runs PostgreSQL operations as runbooks: checked before they act, gated, journalled, undone when they fail.",
        wide,
      ),
    ],
    [
      "Examples",
      columns(
        [
          ["pgdba health check --cluster lab", "a full health report of the built-in lab server"],
          ["pgdba list", "the runbooks there are"],
          ["pgdba health check --help", "what a runbook does, and its parameters"],
          ["pgdba run NAME --plan", "shows what a runbook would do, without doing it"],
          ["pgdba runs", "the runs, and how they ended"],
        ],
        wide,
      ),
    ],
    [
      "Commands",
      columns(
        commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary]),
        wide,
      ),
    ],
    [
      "Runbooks",
      columns(
        [...resources].map(([name, actions]) => [name, actions.join(", ")] as const),
        wide,
      ),
    ],
    ["Flags", flagLines(flags, wide)],
    [
      "",
      [
        "Every command prints one JSON object on stdout; --format table is for people. Progress goes to stderr.",
        "pgdba <resource> <action> is pgdba run <resource>/<action>.",
        "pgdba help authoring tells how to write a runbook of your own.",
      ].flatMap((line) => wrap(line, wide)),
    ],
  ]);
}

export function commandHelp(command: CommandMeta, flags: Flags = {}, room: Room = {}): string {
  const wide = roomOf(room);
  return sections([
    ["", [command.summary]],
    ["Usage", [`  pgdba ${command.name} ${command.usage}`.trimEnd()]],
    ["Examples", (command.examples ?? []).map((line) => `  ${line}`)],
    ["Flags", flagLines({ ...command.flags, ...flags }, wide)],
    ["Exit codes", columns(EXIT_CODES, wide)],
  ]);
}

/** Text whose lines were broken by hand, with one line for each paragraph and each item of a list. */
export function paragraphs(text: string): string {
  return text.trim().replace(/(\S) *\n(?![\s*-])/g, "$1 ");
}

export function sections(list: [string, string[]][]): string {
  return list
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => [...(title === "" ? [] : [title]), ...lines].join("\n"))
    .join("\n\n");
}

/** Two columns, the second wrapped. A first one that is too long gets a line of its own. */
export function columns(rows: readonly (readonly [string, string])[], room = COLUMNS): string[] {
  const widest = Math.max(0, ...rows.map(([name]) => width(name)));
  const left = Math.min(36, Math.floor(room / 2), widest);
  return rows.flatMap(([name, text]) => {
    const [first = "", ...rest] = wrap(text, room - left - 4);
    const margin = " ".repeat(left + 4);
    const head =
      width(name) > left
        ? [`  ${name}`, `${margin}${first}`]
        : [`  ${pad(name, left)}  ${first}`.trimEnd()];
    return [...head, ...rest.map((line) => margin + line)];
  });
}

function flagLines(flags: Flags, room: number): string[] {
  return columns(
    Object.entries(flags).map(([name, { type, short, summary }]) => [
      `${short === undefined ? "" : `-${short}, `}--${name}${type === "string" ? " <value>" : ""}`,
      summary,
    ]),
    room,
  );
}

function isNeeded(spec: ParamSpec): boolean {
  return spec.required === true && spec.positional === undefined;
}

function positionals(params: [string, ParamSpec][]): string[] {
  return params
    .filter(([, spec]) => spec.positional !== undefined)
    .toSorted(([, a], [, b]) => (a.positional ?? 0) - (b.positional ?? 0))
    .map(([name, spec]) => {
      const word = `${flagName(name)}${takesMany(name, Object.fromEntries(params)) ? "..." : ""}`;
      return spec.required ? `<${word}>` : `[${word}]`;
    });
}

function flagForm(name: string, spec: ParamSpec): string {
  return spec.type === "boolean" ? `--${flagName(name)}` : `--${flagName(name)} <${kindOf(spec)}>`;
}

function kindOf(spec: ParamSpec | JsonSchema): string {
  if (spec.enum !== undefined) return "choice";
  return spec.format ?? [spec.type ?? "value"].flat().join("|");
}

function paramText(spec: ParamSpec): string {
  const bounds = [
    spec.minimum === undefined ? "" : `at least ${spec.minimum}`,
    spec.maximum === undefined ? "" : `at most ${spec.maximum}`,
  ];
  const facts = [
    spec.required ? "required" : "",
    spec.enum === undefined ? "" : `one of ${spec.enum.map(plain).join(", ")}`,
    ...bounds,
    spec.default === undefined ? "" : `default ${plain(spec.default)}`,
    spec.secret ? "secret: give env:NAME or file:PATH" : "",
    spec.type === "array" ? "may be repeated" : "",
  ].filter(Boolean);
  const text = spec.description ?? spec.title ?? "";
  return facts.length === 0 ? text : `${text} (${facts.join("; ")})`.trimStart();
}

/** The kinds that an output may have: one that comes from several places is told as each of these has it. */
function outputText(schema: JsonSchema): string {
  const all = branches(schema);
  const kinds = [...new Set(all.flatMap((one) => kindOf(one).split("|")))];
  // Of some places nothing is known, such as a step that was skipped.
  const known = kinds.filter((kind) => kind !== "value" && kind !== "null");
  const kind = known.length === 0 ? "value" : known.join(" or ");
  const said = [schema, ...all].find(({ description }) => description !== undefined)?.description;
  const orNull = kinds.includes("null") ? " or null" : "";
  return [`${kind}${orNull}`, said].filter(Boolean).join(": ");
}

function branches(schema: JsonSchema): JsonSchema[] {
  const all = schema.anyOf ?? schema.oneOf;
  return all === undefined ? [schema] : all.flatMap(branches);
}

function plain(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What is more than a change is not proposed for the lab, nor is what makes the cluster that it works on. */
function examples(
  words: string,
  { risk, needs, locks, hazards }: RunbookMeta,
  params: [string, ParamSpec][],
): string[] {
  const given = params
    .filter(([, spec]) => spec.required || spec.examples !== undefined)
    .map(([name, spec]) =>
      spec.type === "boolean" ? `--${flagName(name)}` : `--${flagName(name)} ${example(spec)}`,
    );
  const isMild = risk === "read" || (risk === "change" && hazards.length === 0);
  const touches = needs.length > 0 || locks.length > 0;
  const on = !touches ? [] : isMild && needs.length > 0 ? ["--cluster lab"] : ["--cluster NAME"];
  const line = ["pgdba", words, ...given, ...on].join(" ");
  const answers = {
    read: [],
    change: [],
    disruptive: ["--yes"],
    destructive: ["--confirm=NAME"],
  }[risk];
  const knows = hazards.includes("fault") ? ["--i-know-what-i-am-doing"] : [];
  const confirmed = [line, ...answers, ...knows].join(" ");
  return risk === "read" ? [`${line} --format table`] : [`${line} --plan`, confirmed];
}

function example(spec: ParamSpec): string {
  if (spec.secret) return "env:NAME";
  const value = spec.examples?.[0] ?? spec.default ?? spec.enum?.[0];
  return value === undefined || value === null
    ? kindOf(spec).toUpperCase()
    : shellQuoted(plain(value));
}
