/** Alertmanager's counters of what it has sent, by the kind of receiver. Pure. */
const TOTAL = "alertmanager_notification_requests_total";
const FAILED = "alertmanager_notification_requests_failed_total";

export interface Counted {
  taken: Record<string, number>;
  failed: Record<string, number>;
}

/** From the text of `/metrics`. Newer versions count by further labels: those are added up. */
export function notificationsIn(text: string): Counted {
  const sums: Record<string, Record<string, number>> = { [TOTAL]: {}, [FAILED]: {} };
  for (const line of text.split("\n")) {
    const found = /^([a-z_]+)\{(.*)\} (\S+)$/.exec(line);
    const [, name = "", labels = "", value = ""] = found ?? [];
    const kind = /(?:^|,)integration="([^"]*)"/.exec(labels)?.[1];
    const sum = sums[name];
    if (sum === undefined || kind === undefined) continue;
    sum[kind] = (sum[kind] ?? 0) + Number(value);
  }
  const failed = sums[FAILED]!;
  return {
    failed,
    taken: Object.fromEntries(
      Object.entries(sums[TOTAL]!).map(([kind, all]) => [kind, all - (failed[kind] ?? 0)]),
    ),
  };
}
