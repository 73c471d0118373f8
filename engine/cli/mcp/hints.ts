import { isMapping } from "../../json.ts";
import type { Envelope, Json, JsonObject } from "../../types.ts";
import { boundAgain } from "../answer/shape.ts";
import { runbooksNamedIn } from "../hints/named-runbooks.ts";
import { libraryOf } from "../library.ts";
import type { Door } from "./call.ts";
import { callOfCommand, withCalls } from "./calls.ts";
import { withoutTwins } from "./select.ts";
import { speakerOf, type Spoken } from "./spoken.ts";
import type { Args, ToolName } from "./tools.ts";
import type { Serving } from "./unconfirmed.ts";

/** How an answer that was cut is taken in parts here, where there is no `--full`. */
const CUT =
  "select gives a part: LIST.0-99 some entries, LIST.key a key of each, TEXT.0-9999 some characters";
/** What to do after the tool `find`. */
const NEXT =
  "find with a group as its words gives the summaries, with other words it searches; show tells all of one";
const NOTHING = "Try find with fewer or other words, or without any";
/** What a runbook that does more than read needs. */
export const NO_READ =
  "It does more than read. The tool plan shows what it would do; the tool run does it.";

/** For a person at the server's machine, or text of the server's: no command in it is meant for the caller. */
const AS_IT_IS =
  "by_hand rows entries evidence sql query statement definition comment comments application".split(
    " ",
  );

/** The answer with the commands and hints of the command line as what a caller of the tools does. */
export async function forTools(
  serving: Serving,
  /** `ahead`: what the tool run will ask for, in a plan. */
  { tool, args, ahead }: { tool: ToolName; args: Args; ahead?: string | undefined },
  envelope: Envelope,
): Promise<Envelope> {
  const door = await doorOf(serving, args, envelope);
  const spoken = speakerOf(door, args);
  const answered = withoutTwins(envelope.data, args.select ?? []);
  // What a person is asked for is told as a command, for them.
  const isAsked = envelope.error?.code === "approval_needed";
  const { data, error } = boundAgain(
    {
      ...envelope,
      data:
        tool === "show" || tool === "find"
          ? described(callsIn(answered, door), (name) =>
              name === undefined ? spoken : speakerOf(door, { runbook: name }),
            )
          : withRun(callsIn(answered, door), (run) => runIn(run, spoken, ahead)),
      error: isAsked ? envelope.error : errorIn(envelope.error, door, spoken),
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

function errorIn(error: Envelope["error"], door: Door, spoken: Spoken): Envelope["error"] {
  if (error === null) return null;
  const told = callsIn(error as unknown as JsonObject, door) as unknown as typeof error;
  const { run } = told as { run?: Json };
  const hint = told.code === "missing_secret" ? `${told.hint ?? ""} ${SETS}`.trim() : told.hint;
  return {
    ...told,
    message: spoken(told.message),
    ...(typeof hint === "string" ? { hint: spoken(hint) } : {}),
    ...(isMapping(run) ? { run: runIn(run, spoken) } : {}),
  } as Envelope["error"];
}

/** Who sets a variable that an agent is told of. */
const SETS =
  "Variables and files are those of this server: the person who starts it sets them. Another login is registered by them with cluster/connect and its password_env, and then named as target.cluster.";

function withRun(data: Json, told: (run: JsonObject) => Json): Json {
  return isMapping(data) && isMapping(data["run"]) ? { ...data, run: told(data["run"]) } : data;
}

function runIn(run: JsonObject, spoken: Spoken, ahead?: string): JsonObject {
  const { warnings, gate } = run;
  return {
    ...run,
    ...(isMapping(gate) && ahead !== undefined ? { gate: { ...gate, hint: ahead } } : {}),
    ...(Array.isArray(warnings)
      ? { warnings: warnings.map((text) => (typeof text === "string" ? spoken(text) : text)) }
      : {}),
  };
}

/** The words in which a runbook describes itself; the values that it takes stay as they are. */
function described(value: Json, speaker: (runbook?: string) => Spoken, of?: string): Json {
  if (Array.isArray(value)) return value.map((item) => described(item, speaker, of));
  if (!isMapping(value)) return value;
  const { name, summary } = value;
  const runbook = typeof name === "string" && typeof summary === "string" ? name : of;
  const spoken = speaker(runbook);
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      key,
      typeof part === "string" && OF_WORDS.includes(key)
        ? spoken(part)
        : described(part, speaker, runbook),
    ]),
  );
}

const OF_WORDS = ["summary", "description", "hint", "message", "next"];

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
    [...(args.runbook === undefined ? [] : [args.runbook]), ...namesIn(envelope.data)],
  );
  return { runbooks, fixed: fixed.target, confirms, target: args.target ?? null };
}

/** The runbooks that a list tells of with flags in its words. */
function namesIn(value: Json): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  if (!isMapping(value)) return [];
  const { name, summary } = value;
  const own = typeof name === "string" && typeof summary === "string" && summary.includes("--");
  return [...(own ? [name] : []), ...Object.values(value).flatMap(namesIn)];
}

function cutIn(part: object): { cut_hint?: string } {
  return "cut_hint" in part && "cut" in part ? { cut_hint: CUT } : {};
}

/** A list of runbooks, and one that nothing was found for, say how to go on. */
function nextIn(data: { [key: string]: Json }): { next?: string } {
  if (!("next" in data)) return {};
  return { next: "found" in data ? NOTHING : NEXT };
}
