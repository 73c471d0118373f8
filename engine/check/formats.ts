import { parseBytes, parseDuration, parseLsn } from "../shared/units.ts";
import { isWhole } from "../shared/connection-part.ts";

function parses(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}

/**
 * Matches a text that looks like a password or a key with its value: `password=x` of a connection string, `PGPASSWORD=x`, `--password x`,
 * `sshpass -p x`, `-u user:x`, `://user:x@host`.
 */
const SECRET =
  /(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key)\w*["']?\s*[=:]\s*\S|--(?:password|passphrase|pass|secret|token|api-?key)[\s=]+\S|\bsshpass\s+-p|\s-u\s*[^\s:]+:\S|:\/\/[^\s:@/]*:[^\s@/]+@/i;

/** The `format`s pgdba gives a meaning to; all others are annotations. Each says what a good value looks like; the value of a `hidden` one is not repeated. */
export const FORMATS: Readonly<
  Record<string, { test: (text: string) => boolean; words: string; hidden?: boolean }>
> = {
  bytes: { test: parses(parseBytes), words: "a size such as 16MB" },
  duration: { test: parses(parseDuration), words: "a duration such as 500ms, 30s or 1h30m" },
  "no-secret": {
    test: (text) => !SECRET.test(text),
    words:
      "text without a password or key in it, for what is given here is recorded: write it into a file and give that (--file)",
    hidden: true,
  },
  "in-file": {
    test: (text) => text === "",
    words: "in a file (--file), for what is given here is recorded",
    hidden: true,
  },
  "connection-part": {
    test: (text) => !isWhole(text),
    words:
      "one part of a connection, but it holds a URI or a connection string: give host, port, user and database each by itself, and the password by the name of a variable",
    hidden: true,
  },
  host: {
    test: (text) => !isWhole(text) && !/^(\/\/|[^/]).*@/s.test(text) && /^[^\s,\0]+$/.test(text),
    words:
      "one host (a name, an address or the folder of a socket), and no URI or connection string",
    hidden: true,
  },
  port: {
    test: (text) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535,
    words: "a port from 1 to 65535",
    hidden: true,
  },
  lsn: { test: parses(parseLsn), words: "an LSN such as 16/B374D848" },
};

/** All `format`s that are known: those above, those by which pgdba completes and reads expressions, and draft-07's, which are for readers. */
export const KNOWN_FORMATS: readonly string[] = [
  ...Object.keys(FORMATS),
  "text", // of the items of a list: a comma on the command line is part of the text
  "condition",
  "variables",
  "runbook",
  "run",
  "cluster",
  "member",
  "file",
  "date-time",
  "date",
  "time",
  "email",
  "idn-email",
  "hostname",
  "idn-hostname",
  "ipv4",
  "ipv6",
  "uri",
  "uri-reference",
  "uri-template",
  "iri",
  "iri-reference",
  "uuid",
  "regex",
  "json-pointer",
  "relative-json-pointer",
];
