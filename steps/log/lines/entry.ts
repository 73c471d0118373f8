/** One entry of the server's log, whatever the format that it is kept in. */
export interface Entry {
  /** As the server wrote it, in its log_timezone. */
  at: string | null;
  pid: number | null;
  severity: string | null;
  sqlstate: string | null;
  role: string | null;
  database: string | null;
  application: string | null;
  backend: string | null;
  message: string;
  detail: string | null;
  hint: string | null;
  context: string | null;
  statement: string | null;
}

export const NOTHING: Entry = {
  at: null,
  pid: null,
  severity: null,
  sqlstate: null,
  role: null,
  database: null,
  application: null,
  backend: null,
  message: "",
  detail: null,
  hint: null,
  context: null,
  statement: null,
};

/** What tells little comes first; a word that is not known, as of another language, passes every threshold. */
const RANKS = ["DEBUG", "LOG", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"];

export function isAtLeast(severity: string | null, least: string): boolean {
  const word = (severity ?? "").replace(/^DEBUG\d$/, "DEBUG").replace(/^INFO$/, "LOG");
  const rank = RANKS.indexOf(word);
  return rank === -1 || rank >= RANKS.indexOf(least.toUpperCase());
}
