import { existsSync } from "node:fs";

export interface Row {
  what: string;
  ours_ms: number;
  peer: string;
  peer_ms: number | null;
  /** What the ratio or the figure must reach; undefined for a figure that is only shown. */
  atLeast?: number;
  atMost_ms?: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median wall time of a command in ms; the first run, which warms the page cache, does not count. @throws when it fails */
export async function timeCommand(
  argv: string[],
  runs: number,
  env: Record<string, string> = {},
): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run <= runs; run++) {
    const started = performance.now();
    const child = Bun.spawn(argv, {
      stdout: "ignore",
      stderr: "pipe",
      env: { ...process.env, ...env },
    });
    const errors = await new Response(child.stderr).text();
    const code = await child.exited;
    if (run > 0) times.push(performance.now() - started);
    if (code !== 0) throw new Error(`${argv.join(" ")} exited ${code}: ${errors.slice(-400)}`);
  }
  return median(times);
}

/** The first of `names` that is installed. */
export function installed(...names: string[]): string | undefined {
  return (
    names.map((name) => Bun.which(name)).find((path) => path !== null && existsSync(path)) ??
    undefined
  );
}

/** A table with a ratio to the peer of the same run, and whether the figure asked for was reached. */
export function report(rows: readonly Row[]): { text: string; missed: number } {
  const cells = rows.map((row) => {
    const ratio = row.peer_ms === null ? null : row.peer_ms / row.ours_ms;
    const reached =
      (row.atMost_ms === undefined || row.ours_ms <= row.atMost_ms) &&
      (row.atLeast === undefined || ratio === null || ratio >= row.atLeast);
    return [
      row.what,
      row.ours_ms.toFixed(row.ours_ms < 10 ? 3 : 1),
      row.peer,
      row.peer_ms === null ? "not installed" : row.peer_ms.toFixed(1),
      ratio === null ? "" : `${ratio.toFixed(1)}x`,
      [
        row.atMost_ms === undefined ? "" : `<= ${row.atMost_ms} ms`,
        row.atLeast === undefined ? "" : `>= ${row.atLeast}x`,
      ]
        .filter(Boolean)
        .join(", "),
      reached ? (ratio === null && row.atLeast !== undefined ? "no peer" : "reached") : "MISSED",
    ];
  });
  const head = ["what", "ours, ms", "peer", "peer, ms", "ratio", "asked", ""];
  const widths = head.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => row[at]!.length)),
  );
  const line = (row: string[]) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd();
  return {
    text: [line(head), ...cells.map(line)].join("\n"),
    missed: cells.filter((row) => row[6] === "MISSED").length,
  };
}
