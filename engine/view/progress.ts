import type { Event } from "../types.ts";
import { singleLine } from "./text.ts";
import { sizeText } from "./size.ts";

type Reported = Extract<Event, { kind: "step.progress" }>;

/** Between two lines of one step in a log, ms; a step that has come to something new is told of sooner. */
const EVERY_MS = 10_000;
const NEWS_EVERY_MS = 2_000;

/** `building index: 45 % (3.2 GB of 7.1 GB)`, or what of it is known. */
export function progressText({ done, total, unit, text }: Reported): string {
  const share =
    done !== null && total !== null && total > 0
      ? `${Math.floor((100 * Math.min(done, total)) / total)} %`
      : "";
  const amounts = [done, total].flatMap((n) => (n === null ? [] : [amount(n, unit)])).join(" of ");
  const named =
    amounts !== "" && unit !== null && unit !== "bytes" ? `${amounts} ${unit}` : amounts;
  const figures = share !== "" && named !== "" ? `${share} (${named})` : named;
  return singleLine([text ?? "", figures].filter((part) => part !== "").join(": "));
}

/** Says which reports of a run get a line in a log: not all of them, and none that says the same as the last. */
export function progressLimit(): (event: Reported) => boolean {
  const last = new Map<string, { at: number; text: string | null; line: string }>();
  return (event) => {
    const at = Date.parse(event.at);
    const before = last.get(event.path);
    const line = progressText(event);
    const least = before?.text === event.text ? EVERY_MS : NEWS_EVERY_MS;
    if (line === "" || (before && (line === before.line || at - before.at < least))) return false;
    last.set(event.path, { at, text: event.text, line });
    return true;
  };
}

function amount(n: number, unit: string | null): string {
  return unit === "bytes" ? sizeText(n) : String(Math.round(n * 100) / 100);
}
