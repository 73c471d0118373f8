import type { Beside } from "./beside.ts";
import { type Finding, sizeText } from "./finding.ts";
import type { Holder, MemberNow } from "./members.ts";

export interface Drawing {
  /** The head line: the cluster and what runs it. */
  head: readonly string[];
  holder: Holder;
  members: readonly MemberNow[];
  pgbouncers: Beside["pgbouncers"];
  findings: readonly Finding[];
}

/**
 * The cluster as lines for a terminal: who sends clients where, and who streams from whom, with a mark for the worst that was found
 * of each.
 */
export function draw({ head, holder, members, pgbouncers, findings }: Drawing): string {
  const mark = (name: string): string => {
    const worst = findings.find(({ object }) => object === name)?.severity;
    return worst === "critical" ? "✖" : worst === "warning" ? "▲" : "●";
  };
  const rows: string[][] = [];
  const put = (lead: string, name: string, ...cells: string[]): void =>
    void rows.push([`${lead}${mark(name)} ${name}`, ...cells]);
  for (const one of pgbouncers) {
    const clients = `${one.clients} clients${one.waiting > 0 ? `, ${one.waiting} wait` : ""}`;
    put(
      "",
      one.name,
      one.place,
      one.why !== null ? "does not answer" : one.paused !== null ? "holds clients back" : clients,
      one.route === null ? "" : `→ ${one.route}`,
    );
  }
  const drawn = new Set<string>();
  const tree = (member: MemberNow, stem: string, last: boolean | null): void => {
    drawn.add(member.name);
    const branch = last === null ? "" : last ? "└─ " : "├─ ";
    put(stem + branch, member.name, ...cellsOf(member));
    const below = members.filter((one) => one.streams_from === member.name && !drawn.has(one.name));
    const inner = last === null ? stem : stem + (last ? "   " : "│  ");
    below.forEach((one, at) => tree(one, inner, at === below.length - 1));
  };
  const leader = members.find(({ name }) => name === holder.name);
  if (leader !== undefined) tree(leader, "", null);
  // Those that stream from nobody stand by themselves.
  const roots = members.filter(
    ({ streams_from: from }) => from === null || !members.some(({ name }) => name === from),
  );
  for (const member of [...roots, ...members]) if (!drawn.has(member.name)) tree(member, "", null);
  return [head.join(" · "), "", ...aligned(rows).map((line) => `  ${line}`), ""].join("\n");
}

function cellsOf(member: MemberNow): string[] {
  const { role, state, place, timeline, lsn, receive_lag_bytes: received } = member;
  const lag = member.replay_lag_bytes ?? received;
  return [
    role.replace("_", " "),
    state,
    place ?? "",
    timeline === null ? "" : `timeline ${timeline}`,
    lag === null ? (lsn ?? "") : lag === 0 ? "no lag" : `${sizeText(lag)} behind`,
  ];
}

/** Cells in columns, as wide as the widest of each. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join("  ")
      .trimEnd(),
  );
}
