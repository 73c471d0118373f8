/** The rules of alerts, as an executable of pgdba holds them in itself. */
import availability from "../../../monitoring/prometheus/rules/availability.rules.yml" with { type: "text" };
import backup from "../../../monitoring/prometheus/rules/backup.rules.yml" with { type: "text" };
import performance from "../../../monitoring/prometheus/rules/performance.rules.yml" with { type: "text" };
import replication from "../../../monitoring/prometheus/rules/replication.rules.yml" with { type: "text" };
import thresholds from "../../../monitoring/prometheus/rules/thresholds.rules.yml" with { type: "text" };

export const RULE_FILES: Readonly<Record<string, string>> = {
  "availability.rules.yml": availability,
  "backup.rules.yml": backup,
  "performance.rules.yml": performance,
  "replication.rules.yml": replication,
  "thresholds.rules.yml": thresholds,
};
