import { dangerOutline } from "./danger-outline.ts";
import type { Runbook } from "../types.ts";
import { type Flags, type Room, runbookHelp, type RunbookMeta } from "../view/help.ts";
import { GLOBAL_FLAGS } from "./args.ts";
import type { Result } from "./command.ts";
import type { Front } from "./front.ts";

export function runbookHelpResult(front: Front, runbook: Runbook): Result {
  return textResult("help", helpOf(runbook, GLOBAL_FLAGS, roomOf(front)));
}

export function helpOf(runbook: Runbook, flags: Flags, room: Room = {}): string {
  const meta: RunbookMeta = {
    name: runbook.name,
    summary: runbook.summary,
    description: runbook.description,
    risk: runbook.risk,
    ...dangerOutline(runbook),
    params: runbook.params,
    output: runbook.outputSchema,
    layer: runbook.doc.layer,
  };
  const shown = Object.entries(flags).filter(([name]) => !Object.hasOwn(runbook.params, name));
  return runbookHelp(meta, Object.fromEntries(shown), room);
}

/** Help on a terminal goes by its width, and elsewhere by a fixed one. */
export function roomOf(front: Front): Room {
  return { columns: front.stdout.columns || Number(front.env["COLUMNS"]) || undefined };
}

export function textResult(command: string, text: string): Result {
  return { exit: 0, command, data: { help: text }, text, help: true };
}
