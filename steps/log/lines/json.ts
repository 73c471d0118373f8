import { type Entry, NOTHING } from "./entry.ts";

/** The entries of a jsonlog: one on each line. A line that is cut is passed over. */
export function jsonEntries(text: string): Entry[] {
  return text.split("\n").flatMap((line): Entry[] => {
    if (!line.startsWith("{")) return [];
    let read: Record<string, unknown>;
    try {
      read = JSON.parse(line) as Record<string, unknown>;
    } catch {
      return [];
    }
    const of = (key: string): string | null => (typeof read[key] === "string" ? read[key] : null);
    return [
      {
        ...NOTHING,
        at: of("timestamp"),
        pid: typeof read["pid"] === "number" ? read["pid"] : null,
        severity: of("error_severity"),
        sqlstate: of("state_code"),
        role: of("user"),
        database: of("dbname"),
        application: of("application_name"),
        backend: of("backend_type"),
        message: of("message") ?? "",
        detail: of("detail"),
        hint: of("hint"),
        context: of("context"),
        statement: of("statement"),
      },
    ];
  });
}
