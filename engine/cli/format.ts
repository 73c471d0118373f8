import { globalFlags } from "./args.ts";
import type { Front } from "./front.ts";

/** The formats of an envelope; `auto` is a table on a terminal and JSON elsewhere. */
export const FORMATS = ["json", "table", "yaml", "auto"] as const;

export type Format = (typeof FORMATS)[number];

/** The form that is printed, and what was chosen; without a choice it is JSON. */
export async function printedFormat(
  front: Front,
): Promise<{ chosen: Format | undefined; format: Exclude<Format, "auto"> }> {
  const chosen = await chosenFormat(front);
  if (chosen !== "auto") return { chosen, format: chosen ?? "json" };
  return { chosen, format: front.stdout.isTTY === true ? "table" : "json" };
}

/** Tells people on stderr what stdout has only in a form for programs. */
export async function tell(front: Front, quiet: unknown, text: string): Promise<void> {
  if (quiet === true || (await printedFormat(front)).format === "table") return;
  front.stderr.write(front.secrets.redact(text));
}

/** The flag's format, else the variable's, else the configuration's; one that does not exist was refused, and counts as none. */
async function chosenFormat(front: Front): Promise<Format | undefined> {
  const asked = globalFlags(front.argv).flags["format"] ?? front.env["PGDBA_FORMAT"];
  if (asked) return FORMATS.find((format) => format === asked);
  try {
    const { loadConfig } = await import("./config.ts");
    return (await loadConfig(front)).format;
  } catch {
    // The command itself has reported what is wrong with the configuration.
    return undefined;
  }
}
