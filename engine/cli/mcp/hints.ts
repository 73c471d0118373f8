import { isMapping } from "../../json.ts";
import type { Envelope, Json, JsonObject } from "../../types.ts";
import { boundAgain } from "../answer/shape.ts";
import type { IndexedRunbook } from "../front.ts";
import { runbooksNamedIn } from "../hints/named-runbooks.ts";
import { libraryOf } from "../library.ts";
import type { Door } from "./call.ts";
import { callOfCommand, withCalls } from "./calls.ts";
import type { Args, ToolName } from "./tools.ts";
import type { Serving } from "./unconfirmed.ts";

/** How an answer that was cut is taken in parts here, where there is no `--full`. */
const CUT = "select gives a part: LIST.0-99 some entries, LIST.key a key of each";
/** What to do after the tool `find`. */
const NEXT =
  "find with a group as its words gives the summaries, with other words it searches; show tells all of one";
const NOTHING = "Try find with fewer or other words, or without any";
/** What a runbook that does more than read needs. */
export const NO_READ =
  "It does more than read. The tool plan shows what it would do; the tool run does it.";

/** For a person at the server's machine, or text of the server's: no command in it is meant for the caller. */
const AS_IT_IS =
  "by_hand rows evidence sql query statement definition comment comments application".split(" ");

/** The answer with the commands and hints of the command line as what a caller of the tools does. */
export async function forTools(
  serving: Serving,
  { tool, args }: { tool: ToolName; args: Args },
  envelope: Envelope,
): Promise<Envelope> {
  const door = await doorOf(serving, args, envelope);
  // What a person is asked for is told as a command, for them.
  const isAsked = envelope.error?.code === "approval_needed";
  const { data, error } = boundAgain(
    {
      ...envelope,
      data: callsIn(envelope.data, door),
      error: isAsked ? envelope.error : errorIn(envelope.error, door, args),
    },
    args.brief === true,
  );
  const gate = isMapping(error?.data) ? error.data["gate"] : null;
  return {
    ...envelope,
    data: isMapping(data)
      ? { ...data, ...(tool === "find" ? nextIn(data) : {}), ...cutIn(data) }
      : data,
    error: error && {
      ...error,
      ...(gate === "read_only" ? { hint: NO_READ } : {}),
      ...cutIn(error),
    },
  };
}

/** Every `command` as a `call`, and commands in texts as tools with their arguments. */
function callsIn<T extends Json>(value: T, door: Door): T;
function callsIn(value: Json, door: Door): Json {
  if (typeof value === "string") return withCalls(value, door);
  if (Array.isArray(value)) return value.map((item) => callsIn(item, door));
  if (!isMapping(value)) return value;
  const { command } = value;
  const call = typeof command === "string" ? callOfCommand(command, door) : null;
  // The call says them again.
  const said = call === null || call.arguments["runbook"] !== value["runbook"] ? [] : SAID;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, part]): [string, Json][] => {
      if (said.includes(key)) return [];
      if (key === "command" && typeof part === "string")
        return [call === null ? [key, part] : ["call", { ...call }]];
      return [[key, AS_IT_IS.includes(key) ? part : callsIn(part, door)]];
    }),
  );
}

const SAID = ["runbook", "params"];

function errorIn(error: Envelope["error"], door: Door, { runbook = "" }: Args): Envelope["error"] {
  if (error === null) return null;
  const told = callsIn(error as unknown as JsonObject, door) as unknown as typeof error;
  const specs = door.runbooks.get(runbook)?.specs ?? {};
  const spoken = (text: string): string => withoutFlags(text, specs, door);
  return {
    ...told,
    message: spoken(told.message),
    ...(typeof told.hint === "string" ? { hint: spoken(told.hint) } : {}),
  };
}

/** A text that names flags of the runbook, or of the target, as the arguments that stand for them. */
function withoutFlags(text: string, specs: IndexedRunbook["specs"], { fixed }: Door): string {
  // A command that is left is a person's, who types flags.
  if (/pgdba [a-z]+ .*--/.test(text)) return text;
  return text.replaceAll(/(?<![\w-])`?--([a-z][a-z0-9-]*)`?/g, (flag, name: string) => {
    const param = name.replaceAll("-", "_");
    if (param in specs) return `params.${param}`;
    if (name === "help") return "The tool show";
    if (name === "plan") return "the tool plan";
    return isOpen(name, fixed) ? `target.${name}` : flag;
  });
}

/** True for a part of the target that calls may name. */
function isOpen(name: string, fixed: readonly string[]): boolean {
  if (name === "database") return !fixed.some((flag) => flag.startsWith("--database="));
  return fixed.length === 0 && ["cluster", "host", "port", "user"].includes(name);
}

/** What commands in this answer come to: it takes the outlines of the runbooks that it names, and of that which was called. */
async function doorOf(
  { front, fixed, confirms }: Serving,
  args: Args,
  envelope: Envelope,
): Promise<Door> {
  const runbooks = await runbooksNamedIn(
    front,
    () => libraryOf(front, fixed.runbooks),
    JSON.stringify(envelope),
    args.runbook === undefined ? [] : [args.runbook],
  );
  return { runbooks, fixed: fixed.target, confirms, target: args.target ?? null };
}

function cutIn(part: object): { cut_hint?: string } {
  return "cut_hint" in part && "cut" in part ? { cut_hint: CUT } : {};
}

/** A list of runbooks, and one that nothing was found for, say how to go on. */
function nextIn(data: { [key: string]: Json }): { next?: string } {
  if (!("next" in data)) return {};
  return { next: "found" in data ? NOTHING : NEXT };
}
