/** Values with the units of Grafana that the dashboards use. Pure. */
const BINARY = ["", "Ki", "Mi", "Gi", "Ti"];
const DECIMAL = ["", "k", "M", "G", "T"];

const digits = (value: number): string =>
  Math.abs(value) >= 100 || Number.isInteger(value)
    ? String(Math.round(value))
    : String(Number(value.toPrecision(3)));

function scaled(value: number, base: number, prefixes: readonly string[]): [string, string] {
  let rest = value;
  let at = 0;
  while (Math.abs(rest) >= base && at < prefixes.length - 1) {
    rest /= base;
    at++;
  }
  return [digits(rest), prefixes[at]!];
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-3) return `${digits(value * 1e6)} µs`;
  if (size < 1) return `${digits(value * 1000)} ms`;
  if (size < 60) return `${digits(value)} s`;
  if (size < 3600) return `${digits(value / 60)} min`;
  if (size < 86_400) return `${digits(value / 3600)} h`;
  return `${digits(value / 86_400)} d`;
}

/** As Grafana writes it. @throws RangeError for a unit that no dashboard of ours has */
export function inUnit(value: number, unit: string): string {
  const with_ = (base: number, prefixes: readonly string[], suffix: string): string => {
    const [text, prefix] = scaled(value, base, prefixes);
    return `${text} ${prefix}${suffix}`.trim();
  };
  switch (unit) {
    case "none":
    case "short":
      return with_(1000, DECIMAL, "").replace(" ", "");
    case "s":
      return seconds(value);
    case "percent":
      return `${digits(value)} %`;
    case "percentunit":
      return `${digits(value * 100)} %`;
    case "bytes":
      return with_(1024, BINARY, "B");
    case "binBps":
      return with_(1024, BINARY, "B/s");
    case "ops":
      return with_(1000, DECIMAL, "ops/s");
    case "cpm":
      return with_(1000, DECIMAL, "/min");
    case "rowsps":
      return with_(1000, DECIMAL, "rows/s");
    default:
      throw new RangeError(`no dashboard had the unit ${unit} before: say how it is written`);
  }
}
