import type { Samples } from "../observe/sample.ts";

/** What happened to the nodes, in words. */
export function eventsOf({ lines }: Samples): { at_ms: number; text: string }[] {
  return lines.flatMap((line) => {
    if ("nodes" in line) return [];
    const at_ms = Math.round(line.at / 1000);
    if (line.event === "leader")
      return [
        {
          at_ms,
          text:
            line.holder === null
              ? "nobody holds the leader key"
              : `${line.holder} holds the leader key`,
        },
      ];
    if (line.event === "role")
      return [
        {
          at_ms,
          text: line.primary
            ? `${line.node} is out of recovery, on timeline ${line.timeline}`
            : `${line.node} is in recovery`,
        },
      ];
    const sync = line.sync > 0 ? `, ${line.sync} of them synchronous` : "";
    return [{ at_ms, text: `${line.streaming} stream from ${line.node}${sync}` }];
  });
}
