const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/** A number of bytes as people read it. */
export function sizeText(bytes: number): string {
  const power = Math.min(
    UNITS.length - 1,
    Math.max(0, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10)),
  );
  const size = bytes / 1024 ** power;
  return `${power === 0 || Math.abs(size) >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[power]}`;
}
