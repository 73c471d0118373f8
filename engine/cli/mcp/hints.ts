import { isMapping } from "../../json.ts";
import type { Envelope, Json } from "../../types.ts";
import type { ToolName } from "./tools.ts";

/** How an answer that was cut is taken in parts here, where there is no `--full`. */
const CUT = "select gives a part: LIST.0-99 some entries, LIST.key a key of each";
/** What to do after the tool `find`. */
const NEXT =
  "find with a group as its words gives the summaries, with other words it searches; show tells all of one";
const NOTHING = "Try find with fewer or other words, or without any";
/** What a runbook that does more than read needs. */
export const NO_READ =
  "It does more than read. The tool plan shows what it would do; the tool run does it.";

/** The answer with the hints of the command line as what a caller of the tools does. */
export function forTools(tool: ToolName, envelope: Envelope): Envelope {
  const { data, error } = envelope;
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

function cutIn(part: object): { cut_hint?: string } {
  return "cut_hint" in part && "cut" in part ? { cut_hint: CUT } : {};
}

/** A list of runbooks, and one that nothing was found for, say how to go on. */
function nextIn(data: { [key: string]: Json }): { next?: string } {
  if (!("next" in data)) return {};
  return { next: "found" in data ? NOTHING : NEXT };
}
