/** The abilities of a stream: colours, and a display that redraws itself. Judged per stream, from arguments only. */
export interface StreamStyle {
  color: boolean;
  /** True when lines may be redrawn: a terminal that a person watches. */
  live: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `NO_COLOR` (not empty) wins over everything, as it states a person's need; then `FORCE_COLOR` (`0` and `false` mean off);
 * then a terminal that is not `TERM=dumb`. In CI a terminal keeps its colours but is never redrawn: its log is read as lines.
 * Sources: no-color.org, force-color.org.
 */
export function streamStyle(
  stream: { isTTY?: boolean | undefined },
  env: Environment,
): StreamStyle {
  const terminal = stream.isTTY === true && env["TERM"] !== "dumb";
  const ci =
    env["CI"] !== undefined && env["CI"] !== "" && env["CI"] !== "false" && env["CI"] !== "0";
  return { color: wantsColor(env) ?? terminal, live: terminal && !ci };
}

function wantsColor(env: Environment): boolean | undefined {
  if (env["NO_COLOR"]) return false;
  const force = env["FORCE_COLOR"];
  return force === undefined ? undefined : force !== "0" && force !== "false";
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
} as const;

export type Color = keyof typeof CODES;
export type Paint = Record<Color, (text: string) => string>;

/** Functions that colour a text, or give it back as it is. */
export function paint(color: boolean): Paint {
  const entries = Object.entries(CODES).map(([name, [open, close]]) => [
    name,
    (text: string) => (color && text !== "" ? `\x1b[${open}m${text}\x1b[${close}m` : text),
  ]);
  return Object.fromEntries(entries) as Paint;
}
