import { isMapping } from "../json.ts";
import type { Envelope, JsonObject, Shown } from "../types.ts";
import { paint } from "./color.ts";
import { renderError } from "./failure.ts";
import { asReport, renderReport } from "./report.ts";
import { renderShown } from "./shown.ts";
import { renderRun } from "./run-summary.ts";
import { printable } from "./text.ts";
import type { Canvas } from "./canvas.ts";
import { renderValue } from "./value.ts";

export type Format = "json" | "table" | "yaml";

export interface FormatOptions {
  color: boolean;
  /** Terminal cells in a line; tables are wrapped to it. */
  columns: number;
  /** Indents JSON, for a person at a terminal. */
  pretty: boolean;
  /** The parts of the data that a table shows, where they are declared. */
  shown?: readonly Shown[] | undefined;
}

/** The envelope as text that ends in one newline. */
export async function formatEnvelope(
  envelope: Envelope,
  format: Format,
  options: FormatOptions,
): Promise<string> {
  if (format === "json")
    return `${JSON.stringify(envelope, null, options.pretty ? 2 : undefined)}\n`;
  if (format === "yaml") {
    const { stringify } = await import("yaml");
    // Words such as `no` are quoted, since many readers still are YAML 1.1.
    return stringify(envelope, { lineWidth: 0, compat: "yaml-1.1", aliasDuplicateObjects: false });
  }
  const canvas = { columns: Math.max(20, options.columns), paint: paint(options.color) };
  return `${formatTable(envelope, canvas, options.shown).join("\n")}\n`;
}

function formatTable(
  envelope: Envelope,
  canvas: Canvas,
  shown: readonly Shown[] | undefined,
): string[] {
  const blocks: string[][] = [];
  if (envelope.error !== null) {
    const { run, ...error } = envelope.error;
    blocks.push(renderError(error as unknown as JsonObject, canvas));
    if (isMapping(run)) blocks.push(renderRun(run, canvas));
  }
  const { run, value } = splitRun(envelope);
  if (isRunRecord(value)) {
    const { output, error, params, target, started_at } = value;
    if (isMapping(error)) blocks.push(renderError(error, canvas));
    blocks.push(renderRun(value, canvas));
    blocks.push(renderValue({ target, started_at, params, output } as JsonObject, canvas));
  } else if (shown !== undefined && isMapping(value)) {
    blocks.push(renderShown(value, shown, canvas));
  } else if (value !== null) {
    const report = asReport(value);
    blocks.push(report === null ? renderValue(value, canvas) : renderReport(report, canvas));
  }
  if (run !== null) blocks.push(renderRun(run, canvas));
  if (blocks.length === 0)
    blocks.push([`${canvas.paint.green("✔")} ${printable(envelope.command)}`]);
  return blocks.flatMap((block, n) => (n === 0 ? block : ["", ...block]));
}

/** True for the output of `runs ID`: a run as the journal has it. */
function isRunRecord(value: Envelope["data"]): value is JsonObject {
  return isMapping(value) && typeof value["runbook"] === "string" && Array.isArray(value["steps"]);
}

/** The outcome apart from the facts of the run that made it. */
function splitRun({ data }: Envelope): { run: JsonObject | null; value: Envelope["data"] } {
  // A run is known by its steps; data that merely has a field called `run` stays data.
  if (!isMapping(data) || !isMapping(data["run"]) || data["run"]["steps"] === undefined)
    return { run: null, value: data };
  const { run, ...rest } = data;
  return { run: run as JsonObject, value: Object.keys(rest).length === 0 ? null : rest };
}
