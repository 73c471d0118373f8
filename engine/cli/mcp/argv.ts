import { validateParams } from "../../check/params.ts";
import { PgdbaError } from "../../errors.ts";
import { clustersNamed } from "../../run/clusters.ts";
import { nearNames } from "../../load/near.ts";
import type { Json, JsonObject, ParamSpec } from "../../types.ts";
import type { Front, IndexedRunbook } from "../front.ts";
import { libraryOf } from "../library.ts";
import { outlineOf } from "../outline.ts";

/** A call of a runbook as a tool is given it. */
export interface Call {
  runbook: string;
  params?: JsonObject;
  target?: Partial<Record<"cluster" | "host" | "port" | "user" | "database", string | number>>;
}

/** What the operator has fixed for all calls when the server was started. */
export interface Fixed {
  /** Folders of `--runbooks`. */
  runbooks: readonly string[];
  /** Flags that name the target; where there are some, calls name none. */
  target: readonly string[];
  /** All flags for each command, those of the target among them. */
  argv: readonly string[];
}

/**
 * The command line for a call, its parameters checked by the runbook's schema. Only parameters that the runbook declares become flags, so that none is a
 * flag of pgdba's own, such as `--runbooks`.
 * @throws PgdbaError unknown_runbook | invalid_param | usage | gate_refused
 */
export async function argvOf(front: Front, call: Call, fixed: Fixed): Promise<string[]> {
  const outline = await known(front, call.runbook, fixed);
  // Both `max_lag` and `max-lag` are taken, as by the command line.
  const params = Object.fromEntries(
    Object.entries(call.params ?? {}).map(([name, value]) => [name.replaceAll("-", "_"), value]),
  );
  refuseStray(call.runbook, outline, params, fixed);
  validateParams(outline.specs, params);
  refuseUnfit(call.runbook, outline, params);
  refuseOtherClusters(call.runbook, outline, params, fixed.target);
  // What of the target the operator has fixed, the tools' schemas do not take.
  const target = Object.entries(call.target ?? {});
  const flags = Object.entries(params).flatMap(([name, value]) => flagOf(name, value));
  const taken = new Set(flags.map((flag) => flag.split("=")[0]!));
  // A runbook with a parameter of this name works on databases by their names: a flag that is meant for the connection would be that parameter.
  const isOwn = (name: string): boolean => name === "database" && name in outline.specs;
  const whole = fixed.argv.filter((flag) => !(flag.startsWith("--database=") && isOwn("database")));
  const at = target.filter(([name]) => !isOwn(name));
  const where = at.map(([name, value]) => `--${name}=${String(value)}`);
  const twice = where.map((flag) => flag.split("=")[0]!).find((flag) => taken.has(flag));
  if (twice !== undefined)
    throw new PgdbaError("usage", `${twice.slice(2)} is given as a parameter and as a target`, {
      hint: "Give it once, as a parameter.",
    });
  // An empty flag is refused; a NUL can't be handed to a program.
  const argv = ["run", call.runbook, ...flags, ...where, ...whole];
  if (argv.some((word) => word.includes("\0")))
    throw new PgdbaError("invalid_param", "A value holds a NUL character", {
      hint: "Leave it out: PostgreSQL does not take one either.",
    });
  return argv;
}

/** The parameter by which the runbook takes the word of its question, where this call does not give it yet; else null. */
export async function wordParam(
  front: Front,
  call: Partial<Call>,
  fixed: Fixed,
): Promise<string | null> {
  const { specs } = await known(front, call.runbook ?? "", fixed);
  const [param = null, ...more] = Object.keys(specs).filter((name) => specs[name]!.confirms);
  // Of several nobody knows which the question is about.
  return param === null || more.length > 0 || (call.params?.[param] ?? null) !== null
    ? null
    : param;
}

/** @throws PgdbaError gate_refused for the answer to a question, which is a person's to give */
export async function refuseWords(front: Front, call: Partial<Call>, fixed: Fixed): Promise<void> {
  const { specs } = await known(front, call.runbook ?? "", fixed);
  const word = Object.entries(call.params ?? {}).find(
    ([name, value]) => value !== null && specs[name.replaceAll("-", "_")]?.confirms === true,
  )?.[0];
  if (word !== undefined)
    throw new PgdbaError(
      "gate_refused",
      `${word} is a person's word, which an agent does not give`,
      {
        hint: "Leave it out: where the run comes to its question, the answer has the whole command that a person runs.",
      },
    );
}

async function known(front: Front, name: string, fixed: Fixed): Promise<IndexedRunbook> {
  const library = libraryOf(front, fixed.runbooks);
  const entry = library.entries("runbook").find((one) => one.name === name);
  if (entry !== undefined) return outlineOf(front, library, entry);
  const names = library.entries("runbook").map((one) => one.name);
  throw new PgdbaError("unknown_runbook", `There is no runbook ${JSON.stringify(name)}`, {
    hint: nearNames(name, names) ?? "The tool `find` finds runbooks by words.",
  });
}

/** True for what can't be done well from afar: what never ends, and files of the server's machine. */
export function isUnfit({ specs, watches }: IndexedRunbook, params: JsonObject): boolean {
  return watches === true || fileParam(specs, params) !== undefined;
}

/** What a call takes beside the parameters of the runbook. */
const BESIDE = ["select", "brief", "approval", "target"];
const OF_THE_TARGET = ["cluster", "host", "port", "user", "database"];

/** @throws PgdbaError invalid_param for an argument of the tool that stands among the parameters of the runbook */
function refuseStray(
  name: string,
  { specs }: IndexedRunbook,
  params: JsonObject,
  { target }: Fixed,
): void {
  const stray = Object.keys(params).filter((param) => !(param in specs));
  const beside = stray.find((param) => BESIDE.includes(param));
  const ofTarget = stray.find((param) => OF_THE_TARGET.includes(param));
  const param = beside ?? ofTarget;
  if (param === undefined) return;
  throw new PgdbaError("invalid_param", `${name} has no parameter ${param}`, {
    hint:
      beside !== undefined
        ? `${param} is an argument of the tool: it stands beside params, where the tool takes it.`
        : target.length === 0
          ? `It is a part of the target: give target: {${JSON.stringify(param)}: …} beside params.`
          : "The target is fixed for this server: leave it out, or give what the tool's own argument target takes.",
  });
}

/** @throws PgdbaError gate_refused for what is unfit */
function refuseUnfit(name: string, { specs, watches }: IndexedRunbook, params: JsonObject): void {
  if (watches)
    throw new PgdbaError("gate_refused", `${name} runs until it is interrupted`, {
      hint: "A person starts it, at a terminal or as a service.",
    });
  const file = fileParam(specs, params);
  if (file !== undefined)
    throw new PgdbaError("gate_refused", `${file} names a file of the machine that pgdba runs on`, {
      hint: "Files can't be read or written through this door. Leave it out, or have a person run the command.",
    });
}

function fileParam(specs: IndexedRunbook["specs"], params: JsonObject): string | undefined {
  return Object.keys(params).find(
    (param) => params[param] !== null && namesFile(specs[param], params[param]!),
  );
}

/** A secret is given as the name of a variable, which the operator has set, or of any file. */
function namesFile(spec: ParamSpec | undefined, value: Json): boolean {
  if (spec?.secret === true) return String(value).startsWith("file:");
  return spec?.format === "file" || spec?.items?.format === "file";
}

/** @throws PgdbaError gate_refused for a parameter that leads to another cluster than the one that the operator has fixed */
function refuseOtherClusters(
  name: string,
  { specs }: IndexedRunbook,
  params: JsonObject,
  fixed: readonly string[],
): void {
  if (fixed.length === 0) return;
  const own = fixed.find((flag) => flag.startsWith("--cluster="))?.slice("--cluster=".length);
  const other = clustersNamed({ params: specs }, params).find((cluster) => cluster !== own);
  if (other !== undefined)
    throw new PgdbaError("gate_refused", `The target is fixed, and ${other} is another cluster`, {
      hint: `Leave out the parameter that names it, or have a person run ${name}.`,
    });
}

function flagOf(param: string, value: Json): string[] {
  const flag = `--${param.replaceAll("_", "-")}`;
  if (value === null) return [];
  if (typeof value === "boolean") return [value ? flag : flag.replace("--", "--no-")];
  return [`${flag}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`];
}
