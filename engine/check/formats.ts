import { parseBytes, parseDuration, parseLsn } from "../expr/units.ts";

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

/** The `format`s pgdba gives a meaning to; all others are annotations. Each says what a good value looks like. */
export const FORMATS: Readonly<Record<string, { test: (text: string) => boolean; words: string }>> =
  {
    bytes: { test: parses(parseBytes), words: "a size such as 16MB" },
    duration: { test: parses(parseDuration), words: "a duration such as 500ms, 30s or 1h30m" },
    lsn: { test: parses(parseLsn), words: "an LSN such as 16/B374D848" },
  };
