/** The rules of alerts, as an executable of pgdba holds them in itself. */
import availability from "../../../monitoring/prometheus/rules/availability.rules.yml" with { type: "text" };
import backup from "../../../monitoring/prometheus/rules/backup.rules.yml" with { type: "text" };
import performance from "../../../monitoring/prometheus/rules/performance.rules.yml" with { type: "text" };
import replication from "../../../monitoring/prometheus/rules/replication.rules.yml" with { type: "text" };
import thresholds from "../../../monitoring/prometheus/rules/thresholds.rules.yml" with { type: "text" };

/**
 * Inside a node without pgdba's hand on it, its own exporter tells of the disks: they are given the name by which rules and dashboards know them.
 */
const DISKS = `groups:
  - name: disks
    interval: 15s
    rules:
${["avail", "size"]
  .map(
    (what) => `      - record: pgdba_disk_${what}_bytes
        expr: >-
          label_replace(node_filesystem_${what}_bytes{mountpoint="/var/lib/pgdba"}, "holds", "data", "", "")
          or label_replace(node_filesystem_${what}_bytes{mountpoint="/var/lib/pgdba-wal"}, "holds", "wal", "", "")
`,
  )
  .join("")}`;

export const RULE_FILES: Readonly<Record<string, string>> = {
  "availability.rules.yml": availability,
  "backup.rules.yml": backup,
  "disks.rules.yml": DISKS,
  "performance.rules.yml": performance,
  "replication.rules.yml": replication,
  "thresholds.rules.yml": thresholds,
};
