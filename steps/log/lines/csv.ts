import { type Entry, NOTHING } from "./entry.ts";

/** A line that begins an entry: the others belong to a text of several lines. */
const BEGINS = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^,"\n]+,/m;
/** A field may be megabytes: with a choice at each character the engine would give up on it. */
const FIELD = /"([^"]*(?:""[^"]*)*)"|([^,\n]*)/y;

/** The entries of a csvlog; what comes before the first whole one is passed over. */
export function csvEntries(text: string): Entry[] {
  const first = text.search(BEGINS);
  if (first === -1) return [];
  const entries: Entry[] = [];
  let fields: (string | null)[] = [];
  for (FIELD.lastIndex = first; FIELD.lastIndex < text.length;) {
    const [, quoted, plain] = FIELD.exec(text)!;
    fields.push(quoted?.replaceAll('""', '"') ?? (plain === "" ? null : plain!));
    const end = text[FIELD.lastIndex];
    FIELD.lastIndex += 1;
    if (end === ",") continue;
    // The last line may not be written to its end yet.
    if (fields.length >= 23) entries.push(entryOf(fields));
    fields = [];
  }
  return entries;
}

function entryOf(fields: readonly (string | null)[]): Entry {
  const at = (index: number): string | null => fields[index] ?? null;
  return {
    ...NOTHING,
    at: at(0),
    role: at(1),
    database: at(2),
    pid: at(3) === null ? null : Number(at(3)),
    severity: at(11),
    sqlstate: at(12),
    message: at(13) ?? "",
    detail: at(14),
    hint: at(15),
    context: at(18),
    statement: at(19),
    application: at(22),
    backend: at(23),
  };
}
